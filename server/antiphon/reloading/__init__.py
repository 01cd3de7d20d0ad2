"""Reloads files saved while a server plays: its patch, and the performer's plugins.

Both run in the control process, to which `join` adds them.
"""
