"""Nodes that compute in workers: hops of sound to a worker and back, streams for files, streaming models."""
