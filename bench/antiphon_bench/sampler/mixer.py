"""A mixer of samples in numpy, as a peer of the voices: one multiplication and addition a voice and side."""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples


class ArrayMixer:
    """Voices that play one sample at one speed, begun at frames of their own; without fades, bends and cut groups.

    At speed 1 it adds the sample's frames, at others it interpolates between two of them (`numpy.interp`), where the
    sampler uses 16 or 32.
    """

    def __init__(self, sound: Samples, speed: float, sides: tuple[float, float], block: int, voices: int) -> None:
        """Begins the voices.

        Args:
            sound: float32 `[frames]`.
            speed: Frames of the sample a frame.
            sides: Factors for left and right.
            block: Frames of a block.
            voices: How many; each begins further on in the sample than the one before.
        """
        self._sound, self._speed, self._sides, self._block = sound, speed, sides, block
        self._frames = np.arange(len(sound), dtype=np.float64)
        self._within = np.arange(block) * speed
        self._most = len(sound) - round(block * max(1.0, speed)) - 2
        self._at = [n * self._most / voices for n in range(voices)]
        self._scratch = np.zeros(block, np.float32)
        self.out = np.zeros((2, block), np.float32)

    def run(self) -> None:
        """Mixes a block; a voice that comes to the sample's end begins anew."""
        out, scratch = self.out, self._scratch
        out.fill(0.0)
        for n, at in enumerate(self._at):
            first = int(at)
            part = self._sound[first : first + self._block]
            if self._speed != 1.0:
                last = first + int(self._block * self._speed) + 2
                part = np.interp(at + self._within, self._frames[first:last], self._sound[first:last])
            for side, factor in enumerate(self._sides):
                np.multiply(part, factor, out=scratch, casting="same_kind")
                np.add(out[side], scratch, out=out[side])
            self._at[n] = (at + self._block * self._speed) % self._most
