"""Streaming models that play in workers."""
