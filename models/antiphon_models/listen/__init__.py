"""The tables of `listen`: fitted on songs whose beats, chords and keys are annotated, and measured on others.

May import `antiphon_listen`, `material` and `learning`, and no other model.
"""
