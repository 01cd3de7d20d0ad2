"""Browser page: its files, changes, the sound of nodes, and sound from the browser."""
