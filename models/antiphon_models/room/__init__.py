"""Evaluation of the echo canceller.

May import `antiphon_room`, `material` and `learning`, and no other model.
"""
