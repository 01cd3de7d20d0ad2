"""Sound and MIDI files: writers, and a MIDI reader."""
