"""Evaluation of `genre`, and training of `popularity` from a table."""
