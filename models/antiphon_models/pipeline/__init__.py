"""From folders and data sets to shards of labelled spectrograms, as steps that can be killed and run again.

Imports `datasets`, `learning`, `antiphon.api` and parts of plugins; Apache Beam and Arrow, an extra, inside functions.
"""
