"""The catalogue: which sound files there are, what they are called, and what analyses find in them.

May import `plugins` (which analyses there are), `io`, `contract` and `runtime`; it knows no terminal.
"""
