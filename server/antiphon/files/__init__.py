"""Sound and MIDI files written, MIDI files read."""
