"""Notes to sound: what a backend is, which there are, and the one that is silent; the others are plugins.

May import `plugins`, `session`, `graph`, `workers`, `io`, `wire`, `contract`, `native` and `runtime`.
"""
