"""A sound file that loops in place of the device's input."""

import numpy as np

from antiphon.kernel.contract.block import Samples


def kept(samples: Samples, channels: int) -> Samples:
    """What a loop on that many channels plays of float32 `[channels, frames]`, stored once where all are equal."""
    used = samples[:channels]
    missing = used.shape[0] < channels and used.shape[0] > 1
    return used[:1].copy() if not missing and (used == used[0]).all() else used


class FileLoop:
    """A sound that repeats without end from frame 0, with silence before it."""

    def __init__(self, samples: Samples, channels: int, block: int) -> None:
        """A loop of float32 `[channels, frames]`. Mono is for all channels; other missing channels are silent."""
        held, length = samples.shape
        if 1 < held < channels:
            samples = np.concatenate([samples, np.zeros((channels - held, length), np.float32)])
        sound = np.ascontiguousarray(samples[:channels], np.float32)
        # of `[channels, frames]`; rows of a mono one are the same memory
        self.sound: Samples = np.broadcast_to(sound, (channels, length))
        self._out: Samples = np.zeros((channels, block), np.float32)

    def block(self, sample: int, frames: int) -> Samples:
        """`frames` of the loop from `sample` on, a view valid until the next call; silence for a negative `sample`."""
        if sample < 0:
            self._out.fill(0.0)
            return self._out[:, :frames]
        length = self.sound.shape[1]
        at, done = sample % length, 0
        while done < frames:
            count = min(frames - done, length - at)
            self._out[:, done : done + count] = self.sound[:, at : at + count]
            done += count
            at = 0
        return self._out[:, :frames]
