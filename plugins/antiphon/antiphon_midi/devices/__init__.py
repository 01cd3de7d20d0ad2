"""MIDI ports of the system and of JACK, and how they are opened."""
