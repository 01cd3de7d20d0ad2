"""Chord estimation for a melody, by tables and networks or from text, independent of any band."""
