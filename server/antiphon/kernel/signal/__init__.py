"""Pitches by name, number and frequency."""
