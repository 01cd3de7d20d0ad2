"""What a process finds around it: folders, settings, signals, children, messages for the terminal, model files.

May import `errors` alone.
"""
