"""Chords and key of a recording: the network, the labels, the harmony of a song."""
