"""The phrase gate of `full`: open while something is played or said, shut in between."""

from __future__ import annotations

from antiphon.native import f32, f32p, i64, kernel
from antiphon_denoise.bands import BINS
from antiphon_denoise.estimate import Estimator

_SILENT = 10.0 ** (-66.0 / 10.0)
_BELOW = 10.0 ** (-24.0 / 10.0)
_DECAY = 10.0 ** (-0.05 / 10.0)
_HOLD = 3
_FALL = 1.0 / 3.0


@kernel
def denoise_kept(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean power of what the gate lets through."""
    total = f32(0.0)
    for k in range(bins):
        total = total + power[k] * gain[k] * gain[k]
    return total / f32(bins)


class PhraseGate:
    """Shuts when what the gate lets through falls far below the phrase, opens with it again."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._phrase = 0.0
        self._quiet = _HOLD
        self._opening = 0.0

    def open(self, estimator: Estimator) -> float:
        """One hop with `full` off: follows, and lets everything through."""
        self.update(estimator)
        return 1.0

    def update(self, estimator: Estimator) -> float:
        """One hop: how far the gate is open, 0..1."""
        kept = denoise_kept(estimator.power, estimator.gain, BINS)
        self._phrase = max(kept, self._phrase * _DECAY)
        if kept < max(_SILENT, self._phrase * _BELOW):
            self._quiet += 1
        else:
            self._quiet = 0
        if self._quiet > _HOLD:
            self._opening = max(0.0, self._opening - _FALL)
        else:
            self._opening = 1.0
        return self._opening
