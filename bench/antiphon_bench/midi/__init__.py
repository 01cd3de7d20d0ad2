"""The bench of MIDI clocks."""
