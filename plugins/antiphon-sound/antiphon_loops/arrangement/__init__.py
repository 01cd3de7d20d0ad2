"""Arrangement of loops: selection, rules, stretching, and the process that prepares them.

May import `antiphon.api`, `analysis`, `library`, `record` and `rules`.
"""
