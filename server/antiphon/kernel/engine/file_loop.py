"""A sound file that loops in place of the device's input."""

import numpy as np

from antiphon.kernel.contract.block import Samples


def kept(samples: Samples, channels: int) -> Samples:
    """What a loop on that many channels plays of float32 `[channels, frames]`, stored once where all are equal."""
    used = samples[:channels]
    missing = used.shape[0] < channels and used.shape[0] > 1
    return used[:1].copy() if not missing and (used == used[0]).all() else used


def looping(samples: Samples, channels: int) -> Samples:
    """A sound for that many channels. Mono is for all, its rows the same memory; other missing ones are silent."""
    held, length = samples.shape
    if 1 < held < channels:
        samples = np.concatenate([samples, np.zeros((channels - held, length), np.float32)])
    return np.broadcast_to(np.ascontiguousarray(samples[:channels], np.float32), (channels, length))
