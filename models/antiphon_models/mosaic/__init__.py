"""What `mosaic` and `third` are measured by: pairs of a target and a reference, songs with an exact third.

May import `antiphon_mosaic`, `material`, `learning` and the measures of `transfer`.
"""
