"""Offline rendering of files by the live code: `run`, `render`, `replay`, and the starts, ends and names of files.

May import `live` and, of the kernel, `engine`, `session`, `graph` and below; not `control` or the command line.
"""
