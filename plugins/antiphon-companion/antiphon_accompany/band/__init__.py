"""Band engine: styles and their sections, voicings, strikes and sounding notes."""
