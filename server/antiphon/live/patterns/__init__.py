"""Patterns: music as a value that depends on time alone. They know no script."""
