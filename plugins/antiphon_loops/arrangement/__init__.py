"""Arrangement of loops: selection, rules, stretching, and the process that prepares them.

May import the server, `analysis`, `library` and `record`.
"""
