"""Pitch and notes by signal processing: pitch track, onset flux, segmentation, and note candidates.

May import `antiphon.api`; no torch.
"""
