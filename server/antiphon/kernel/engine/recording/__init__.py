"""Recording: the recorder process, its sound files, and the session log."""
