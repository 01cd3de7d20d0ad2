"""The page in the browser: its files, what changes, the sound of nodes, and sound from the browser."""
