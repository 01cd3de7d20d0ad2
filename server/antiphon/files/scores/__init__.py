"""Notes in files: MIDI files, MusicXML, projects of studios."""
