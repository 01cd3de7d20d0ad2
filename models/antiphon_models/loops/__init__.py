"""Fits and evaluates `loops` on loops with known key, tempo and role.

May import `antiphon_loops`, `material` and `learning`, and no other model.
"""
