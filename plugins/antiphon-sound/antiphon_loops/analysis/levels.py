"""True peak by oversampling."""

import numpy as np

from antiphon.api import F32


def true_peak(sound: F32, rate: int) -> float:
    """True peak: largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))
