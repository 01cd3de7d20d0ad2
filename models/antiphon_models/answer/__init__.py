"""The prior of `answer`: counted in songs; and how far it, the memory and others foresee a melody.

May import `antiphon_answer`, `material` and `learning`, and no other model.
"""
