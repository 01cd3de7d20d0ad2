"""Arithmetic on sound and notes that several rooms need: pitch, loudness, spectrograms, onsets, scales; no state."""
