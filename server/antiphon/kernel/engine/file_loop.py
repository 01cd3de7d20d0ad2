"""A sound file that loops in place of the device's input."""

import numpy as np

from antiphon.kernel.contract.block import Samples


class FileLoop:
    """A sound that repeats without end from frame 0, with silence before it."""

    def __init__(self, samples: Samples, channels: int, block: int) -> None:
        """A loop of float32 `[channels, frames]`. Mono is copied to all channels; other missing channels are silent."""
        if samples.shape[0] < channels:
            samples = (
                np.repeat(samples[:1], channels, axis=0)
                if samples.shape[0] == 1
                else np.concatenate([samples, np.zeros((channels - samples.shape[0], samples.shape[1]), np.float32)])
            )
        self.sound: Samples = np.ascontiguousarray(samples[:channels], np.float32)  # float32 `[channels, frames]`
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
