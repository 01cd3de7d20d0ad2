"""Analysis of loops: tempo, key, loudness and role, by spectrum and fitted tables.

May import `antiphon.api`, and `record` and `rules` beside it.
"""
