"""Following a player: the beat, and the place in a score."""
