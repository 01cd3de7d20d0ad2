"""Patterns: music as values that depend only on time. They do not depend on scripts."""
