"""Files through the code that plays live: `run`, `render`, `replay`, and how files begin, end and are named.

May import `engine`, `session`, `graph` and below. Nothing of `control` and nothing of the command line.
"""
