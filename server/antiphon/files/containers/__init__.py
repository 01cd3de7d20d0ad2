"""Structure of sound files by their bytes, without decoding; see `layout`."""
