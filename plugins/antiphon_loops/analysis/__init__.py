"""Analysis of loops: tempo, key, loudness and role, by spectrum and fitted tables.

May import the server and `record` beside it.
"""
