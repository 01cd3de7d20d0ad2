"""Analyses of sound and what they share: spectra, loudness, pitch, features; no kernel part uses them."""
