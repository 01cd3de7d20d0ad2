"""The networks of `hum`, their training singing, and the measures of notes.

May import `antiphon_hum`, `material` and `learning`, and no other model; the two networks nothing of the training.
"""
