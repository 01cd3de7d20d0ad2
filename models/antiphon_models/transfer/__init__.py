"""What `transfer` is measured by: the same notes by two instruments, measures and simple methods beside it.

May import `antiphon_transfer`, `material` and `learning`, and no other model.
"""
