"""The tables of `accompany`: counted in songs, and measured beside simple accompanists.

May import `antiphon_accompany`, `material` and `learning`, and no other model.
"""
