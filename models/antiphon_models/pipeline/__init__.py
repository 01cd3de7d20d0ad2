"""Restartable steps from folders and data sets to shards of labelled spectrograms.

Imports `datasets`, `learning`, `antiphon.api` and parts of plugins; Apache Beam and Arrow, an extra, inside functions.
"""
