"""The mask of files."""
from antiphon_denoise.learned.tables import DETAILS, FEATURES

MODEL = "denoise-mask-file"
AROUND = 8
"""Blocks of hops each way over which the lowest levels are compared: 3 s."""
FILE_FEATURES = 2 * FEATURES + 1
FILE_DETAILS = DETAILS + 4
