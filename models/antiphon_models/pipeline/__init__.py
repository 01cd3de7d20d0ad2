"""From folders and data sets to shards of labelled spectrograms, as steps that can be killed and run again.

Imports `datasets`, `io`, `runtime` and what is below them; Apache Beam and Arrow, an extra, inside functions.
"""
