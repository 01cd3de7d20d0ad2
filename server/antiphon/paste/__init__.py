"""Translates Strudel and Tidal programs to live scripts: parses and translates them, without evaluation."""
