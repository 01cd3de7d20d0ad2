"""Finds the structure of sound files from their bytes, without decoding; see `layout`."""
