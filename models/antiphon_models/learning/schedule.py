"""Cosine schedule of a learning rate, down to a hundredth of it."""

from __future__ import annotations

import math

LEAST_RATE = 0.01
"""Of the learning rate, at the end."""


def falling(done: float) -> float:
    """The share of the learning rate when a share of the training is done, 0 to 1."""
    return LEAST_RATE + (1.0 - LEAST_RATE) * (0.5 * (1.0 + math.cos(math.pi * done)))
