"""The noise of a file, estimated from what the mask takes of it when it is heard for the first time.

Told the noise, the mask takes more of it and harms less: `learn` does that by hand. Here the estimate of a bin is the
geometric mean of its power, a hop weighted by the square of what the mask takes there, and at most the mean of what it
took: where the sound goes on in every hop, the first is the sound's. It is told only where the file has noise that
stays: what the mask takes of clean sound, or of cries and barks, would teach it to take more of those.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32

LEAST = -13.0
"""dB of what the mask takes beside the whole: of 39 noisy items it took -11.4 and more, of clean ones -17 and less, but
for a recording that hisses itself."""
STEADY = 4.0
"""dB by which the estimate, in every hop, may be above what was taken: noise that comes and goes was 4 to 9 above."""
EVEN = -7.0
"""dB of a bin's geometric mean below its mean, on average: steady noise has -2.5; where telling did harm, -8 to -13."""
MEAN_OF_LOGS = 1.781
"""exp(Euler's constant): mean over geometric mean of a noise's power in one bin, which is exponentially distributed."""
FLOOR = 1e-12
"""Power below which a bin is silent: -120 dB."""
SILENT = 1e-9
"""Mean power of a bin below which a file is silent: the spectra of digital silence have 1e-10."""


class SteadyNoise:
    """Sums over hops of powers and gains, and the noise in them."""

    def __init__(self, bins: int) -> None:
        self._weights = np.zeros(bins)
        self._logs = np.zeros(bins)
        self._weighted = np.zeros(bins)
        self._taken = np.zeros(bins)
        self._whole = 0.0
        self._hops = 0

    def add(self, power: F32, gain: F32) -> None:
        """Adds a hop's `power` `[bins]` and the mask's `gain` of it, 0 to 1."""
        weight = (1.0 - gain) ** 2
        self._weights += weight
        self._logs += weight * np.log(power + FLOOR)
        self._weighted += weight * power
        self._taken += (1.0 - gain**2) * power
        self._whole += float(np.sum(power))
        self._hops += 1

    def power(self) -> F32 | None:
        """The noise's mean power `[bins]`; None where there is too little noise, or none that stays."""
        taken = np.sum(self._taken)
        if taken <= 10.0 ** (LEAST / 10.0) * self._whole or self._whole <= SILENT * self._hops * len(self._taken):
            return None
        weights = self._weights + 1e-3
        if self._hops * np.sum(self._weighted / weights) > 10.0 ** (STEADY / 10.0) * taken:
            return None
        often = np.exp(self._logs / weights)
        noise = np.minimum(MEAN_OF_LOGS * often, self._taken / self._hops)
        below = 10.0 * np.log10((often + FLOOR) / (self._weighted / weights + FLOOR))
        if np.sum(noise * below) < EVEN * np.sum(noise):
            return None
        return np.asarray(noise, np.float32)
