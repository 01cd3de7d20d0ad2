"""Processor `midifile` and its event list."""
