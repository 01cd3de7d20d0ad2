"""Arithmetic on sound that several rooms need: pitch, loudness, spectrograms, onsets, landmarks; no state, no files."""
