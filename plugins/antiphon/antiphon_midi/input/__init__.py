"""MIDI input: notes, expression, pedals, MIDI learn."""
