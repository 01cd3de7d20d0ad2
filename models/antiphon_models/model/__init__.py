"""Network of the reference model, and its random weights.

May import `antiphon_model`, `material` and `learning`, and no other model.
"""
