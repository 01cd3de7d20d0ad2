"""Spectra of a song by frames: windows, notes, constant Q."""
