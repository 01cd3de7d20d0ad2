"""Input and output: sockets and files."""
