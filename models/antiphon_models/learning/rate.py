"""The learning rate over a training, for any framework."""

import math

MIN_RATE = 0.01
"""Learning rate at the end, as a fraction of the initial one."""


def decay_factor(done: float) -> float:
    """Learning rate factor when a share of the training, 0 to 1, is done: half a period of a cosine."""
    return MIN_RATE + (1.0 - MIN_RATE) * (0.5 * (1.0 + math.cos(math.pi * done)))
