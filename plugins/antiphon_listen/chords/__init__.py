"""Chords and key of a recording: spectra of its pitch classes, the network, the labels."""
