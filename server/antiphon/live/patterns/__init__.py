"""Patterns: music as a value that depends on time alone. They do not depend on scripts."""
