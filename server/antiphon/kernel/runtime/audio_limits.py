"""At which rates and block lengths Antiphon runs."""

from __future__ import annotations

RATES = (44100, 48000, 96000)
"""Frames per second."""
MIN_BLOCK, MAX_BLOCK = 32, 2048
"""Frames of a block: what sound cards and JACK offer, at the least and at the most."""
