"""Nodes that play by workers: hops of sound to one and back, streams for files, streaming models."""
