"""`antiphon deploy check`: whether a server that others can reach does what it should, and nothing else."""
