"""Training of the prior of `answer`, and evaluation of its melody prediction beside other models.

May import `antiphon_answer`, `material` and `learning`, and no other model.
"""
