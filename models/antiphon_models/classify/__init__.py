"""Evaluation of `genre`, conversion of musicnn's weights, and training of `popularity` from a table."""
