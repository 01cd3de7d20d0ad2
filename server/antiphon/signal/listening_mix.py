"""Mono mix for analyses: the mean of the channels, unless they cancel."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS

F32 = NDArray[np.float32]
_HALF_LIFE = 4.0
"""Half-life in seconds of live sound."""
_HYSTERESIS = 1.25
"""Hysteresis: minimum excess of the channels over uncorrelated ones."""
_MIN_POWER = 1e-9
"""Minimum mean square for a decision, -90 dB."""
LOUDEST = 1e6
"""Peak from which on a sample is invalid."""


class ListeningMix:
    """Louder of mid and side of two channels; of more, the mean, or the loudest channel if they cancel in the mean.

    It decides piece by piece from the sound so far, and takes mid if the two are similar. `CANCELLED`: a command's
    remark on a file that is `cancelled`. `weights`: float32 `[MAX_CHANNELS]`, of each channel in the mix.
    """

    CANCELLED: ClassVar[str] = "its channels cancel in mono; what one has against the other is heard"

    def __init__(self, remembered: float = 0.0) -> None:
        """Sets the half-life. Args: remembered: half-life in frames; 0 for no decay."""
        self.weights: F32 = np.zeros(MAX_CHANNELS, np.float32)
        self._powers: list[float] = [0.0] * MAX_CHANNELS
        self._remembered, self._channels = remembered, 0
        self.reset()

    @classmethod
    def live(cls, rate: float) -> Self:
        """Mix with decay, for live sound at `rate`."""
        return cls(_HALF_LIFE * rate)

    def reset(self) -> None:
        """Clears the measured energies."""
        self._mean = self._heard = self._turned = 0.0
        self._powers[:] = [0.0] * MAX_CHANNELS
        self._is_turned = False
        self.begin(self._channels)

    def begin(self, channels: int) -> None:
        """Sets the number of channels of the next sound."""
        self._channels = channels
        self.weights[:channels] = 1.0 / max(1, channels)

    @property
    def cancelled(self) -> bool:
        """Whether cancellation has replaced the mean for most of the energy."""
        return self._turned > 0.5 * self._heard

    def weigh(self, mean: float, powers: Sequence[float], frames: int) -> None:
        """Updates `weights` by a piece: the energy of the mean, that of each channel, and the frames."""
        kept = 0.5 ** (frames / self._remembered) if self._remembered else 1.0
        count, total = len(powers), 0.0
        if count != self._channels:
            self.begin(count)
        self._mean = kept * self._mean + mean
        for place in range(count):
            self._powers[place] = kept * self._powers[place] + powers[place]
            total += powers[place]
        every = sum(self._powers)
        if every / count > _MIN_POWER * frames:
            turned = every > (1.0 if self._is_turned else _HYSTERESIS) * count * count * self._mean
            if turned != self._is_turned:
                self._is_turned = turned
                self.begin(count)
                if self._is_turned and count == 2:
                    self.weights[1] = -0.5
                elif self._is_turned:
                    self.weights[:count] = 0.0
                    self.weights[max(range(count), key=self._powers.__getitem__)] = 1.0
        self._heard = kept * self._heard + total
        self._turned = kept * self._turned + (total if self._is_turned else 0.0)

    def take(self, sound: F32, out: F32 | None = None) -> F32:
        """Mixes a piece, float32 `[channels, n]`, to `[n]`, into `out` if given; invalid samples become silence."""
        channels = len(sound)
        if not (heard := np.abs(sound) < LOUDEST).all():
            sound = np.where(heard, sound, np.float32(0.0))
        out = np.empty(sound.shape[1], np.float32) if out is None else out
        np.mean(sound, axis=0, out=out)
        if channels > 1:
            with np.errstate(over="ignore", invalid="ignore"):
                powers = [float(np.dot(channel, channel)) for channel in sound]
                self.weigh(float(np.dot(out, out)), powers, len(out))
            if self._is_turned:
                np.matmul(self.weights[:channels], sound, out=out)
        return out


def listening_mono(sound: F32) -> F32:
    """Mono of a whole sound, float32 `[channels, n]`."""
    return ListeningMix().take(sound)
