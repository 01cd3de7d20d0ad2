"""What is written while the engine plays: the recorder process, its sound files, and the session log."""
