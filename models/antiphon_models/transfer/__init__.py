"""Evaluates `transfer`: the same notes by two instruments, measures and baselines.

May import `antiphon_transfer`, `material` and `learning`, and no other model.
"""
