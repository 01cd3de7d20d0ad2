"""Fits and evaluates `listen` on songs with annotated beats, chords and keys.

May import `antiphon_listen`, `material` and `learning`, and no other model.
"""
