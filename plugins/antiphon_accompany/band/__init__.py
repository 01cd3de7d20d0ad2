"""What a band plays on chords: styles and their sections, voicings, strikes and the notes that sound."""
