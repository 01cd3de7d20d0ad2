"""The network of the reference model and how its weights were drawn.

May import `antiphon_model`, `material` and `learning`, and no other model.
"""
