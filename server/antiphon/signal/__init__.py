"""Analyses of sound and their common parts: spectra, loudness, pitch, features; no part of the kernel uses them."""
