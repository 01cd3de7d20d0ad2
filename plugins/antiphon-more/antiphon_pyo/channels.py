"""MIDI channel and note state: bends, level curves without steps, and the pedal."""

import numpy as np

from antiphon.api import Event, Samples
from antiphon.api.backends.synths import ChannelBends

CHANNELS = 16
GLIDE = 0.005
"""Ramp time of a controller in seconds."""


class Glides:
    """Linear ramps of one value per channel, or per voice.

    `values`: present values, `[channels]`. `loose`: True for those that moved in the chunk ended by `finish`; for those
    `curves` `[channels, frames]` is valid.
    """

    def __init__(self, first: float, frames: int, length: int, count: int = CHANNELS) -> None:
        self.values = np.full(count, first)
        self.loose = np.zeros(count, np.bool_)
        self.any_loose = False
        self.curves: Samples = np.full((count, frames), first, np.float32)
        self._first, self._length = first, max(1, length)
        self._target = [first] * count
        self._left = [0] * count
        self._filled: dict[int, int] = {}
        self._ramp = np.arange(1, frames + 1, dtype=np.float32)

    def reset(self) -> None:
        """Resets to the initial values at once."""
        self.values[:] = self._first
        self.loose[:] = self.any_loose = False
        self._left[:] = [0] * len(self._left)
        self._filled.clear()

    def to(self, channel: int, offset: int, value: float) -> None:
        """Starts a ramp at `offset` of this chunk."""
        self._filled.setdefault(channel, 0)
        self._fill(channel, offset)
        self._target[channel], self._left[channel] = value, self._length

    def put(self, channel: int, value: float) -> None:
        """Sets a value at once."""
        self.values[channel] = self._target[channel] = value
        self._left[channel] = 0
        self._filled.pop(channel, None)

    def ratio(self, channel: int, frames: int) -> Samples:
        """Speed factor, frame by frame, of a moving value in semitones."""
        factor: Samples = np.exp2(self.curves[channel, :frames] / np.float32(12.0))
        return factor

    def finish(self, frames: int) -> None:
        """Completes the chunk's curves."""
        if self.any_loose:
            self.loose[:] = self.any_loose = False
        for channel in list(self._filled):
            self._fill(channel, frames)
            self.loose[channel] = self.any_loose = True
            if self._left[channel]:
                self._filled[channel] = 0
            else:
                del self._filled[channel]

    def _fill(self, channel: int, until: int) -> None:
        filled, left, value = self._filled[channel], self._left[channel], float(self.values[channel])
        if until <= filled:
            return
        moved = min(until - filled, left)
        curve = self.curves[channel, filled:until]
        if moved:
            step = (self._target[channel] - value) / left
            np.multiply(self._ramp[:moved], np.float32(step), out=curve[:moved])
            curve[:moved] += np.float32(value)
            value = self._target[channel] if moved == left else value + step * moved
            self._left[channel] = left - moved
        curve[moved:] = value
        self.values[channel] = value
        self._filled[channel] = until


class Channels:
    """State of a node's sixteen channels, from 0. bends: semitones.  gains: volume times expression."""

    def __init__(self, frames: int, rate: int) -> None:
        length = round(GLIDE * rate)
        self.bends, self.gains = Glides(0.0, frames, length), Glides(1.0, frames, length)
        self.factors = np.ones(CHANNELS)
        """Speed factors of constant bends."""
        self.pedal = [False] * CHANNELS
        self._reach, self._wheels = 2.0, ChannelBends()
        self._volume = [1.0] * CHANNELS
        self._expression = [1.0] * CHANNELS

    def reset(self, reach: float) -> None:
        """`reach`: bend range in semitones."""
        self._reach = reach
        self._wheels.reset()
        self.bends.reset()
        self.gains.reset()
        self.factors[:] = 1.0
        for of in (self._volume, self._expression):
            of[:] = [1.0] * CHANNELS
        self.pedal[:] = [False] * CHANNELS

    def bend(self, offset: int, event: Event) -> None:
        """Follows a bend, or a controller that states its range."""
        if self._wheels.follow(event, self._reach):
            self.bends.to(event.channel - 1, offset, self._wheels.semitones[event.channel])

    def volume(self, offset: int, channel: int, value: float) -> None:
        self._volume[channel] = value
        self._gain(offset, channel)

    def expression(self, offset: int, channel: int, value: float) -> None:
        self._expression[channel] = value
        self._gain(offset, channel)

    def finish(self, frames: int) -> None:
        """Completes the chunk's curves."""
        self.bends.finish(frames)
        self.gains.finish(frames)
        if self.bends.any_loose:
            np.exp2(self.bends.values / 12.0, out=self.factors)

    def speeds(self, channel: int, frames: int) -> Samples:
        """Speed factor, frame by frame, of a channel with a moving bend."""
        return self.bends.ratio(channel, frames)

    def _gain(self, offset: int, channel: int) -> None:
        self.gains.to(channel, offset, (self._volume[channel] * self._expression[channel]) ** 2)
