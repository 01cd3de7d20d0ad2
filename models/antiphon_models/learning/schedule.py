"""Cosine schedule of a learning rate, down to a hundredth of it."""

import math

MIN_RATE = 0.01
"""Final factor of the learning rate."""


def falling(done: float) -> float:
    """Factor of the learning rate at a completed share of the training, 0 to 1."""
    return MIN_RATE + (1.0 - MIN_RATE) * (0.5 * (1.0 + math.cos(math.pi * done)))
