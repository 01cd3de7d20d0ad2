"""What is saved while a server plays is loaded again: its patch's file, and the performer's plugins.

Both run in the control process, which `join` adds them to.
"""
