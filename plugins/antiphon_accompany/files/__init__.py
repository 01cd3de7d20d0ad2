"""The processor on files: a band under a melody or a recording, pieces, and what is written beside them."""
