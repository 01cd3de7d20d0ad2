"""The networks of `hum`, the singing they are trained on, and what notes are measured by.

May import `antiphon_hum`, `material` and `learning`, and no other model; the two networks nothing of the training.
"""
