"""The tables of `loops`: fitted on loops whose key, tempo and role are known, and measured on others.

May import `antiphon_loops`, `material` and `learning`, and no other model.
"""
