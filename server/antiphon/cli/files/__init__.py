"""The commands that read and write sound files: `antiphon run`, `render` and `replay`, and the options they share.

May import `terminal`, the rest of `cli`, and everything that `cli` may import.
"""
