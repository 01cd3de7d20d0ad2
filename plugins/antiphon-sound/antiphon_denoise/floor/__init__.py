"""Noise detection of a whole file, and trust in the mask alone."""
