"""Classify: what a sound is, by small networks over its spectrogram, as analyses of the catalogue."""
