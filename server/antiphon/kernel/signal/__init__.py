"""Signal analysis and music theory shared by several rooms: pitch, loudness, spectrograms, onsets, scales; no state."""
