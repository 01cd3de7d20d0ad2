"""Training of `accompany`'s harmony tables by counts of songs, and their evaluation beside simple baselines.

May import `antiphon_accompany`, `material` and `learning`, and no other model.
"""
