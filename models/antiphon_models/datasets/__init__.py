"""Data sets as their authors lay them out: what should be there, what is, and which part is for training.

Imports `antiphon.api`.
"""
