"""File jobs of the processor: a band under a melody or a recording, generated pieces, and side files."""
