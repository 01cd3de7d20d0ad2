"""The structure of a song: what is played again, where phrases begin, and the sections that they make."""
