"""A process's surroundings: folders, settings, signals, children, messages for the terminal, model files.

May import only `errors`.
"""
