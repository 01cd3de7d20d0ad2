"""The processor `midifile` and the events that it plays."""
