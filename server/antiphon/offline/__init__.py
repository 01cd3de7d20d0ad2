"""Runs files through the live code: `run`, `render`, `replay`, and the beginnings, ends and names of files.

May import `engine`, `session`, `graph` and below. Nothing of `control` and nothing of the command line.
"""
