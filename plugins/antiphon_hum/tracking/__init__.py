"""Pitch and notes by signal processing: candidates, pitch track, onset flux, segments, and what is taken for a note.

May import `antiphon.api`; no torch.
"""
