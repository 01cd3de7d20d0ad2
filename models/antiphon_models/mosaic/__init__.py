"""What `mosaic` is measured by: pairs of a target and a reference, by a detector that is not ours.

May import `antiphon_mosaic`, `material` and `learning`, and no other model.
"""
