"""The figure of merit for denoisers."""

import numpy as np

from antiphon.api import F32


def si_sdr(made: F32, clean: F32) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    a, b = made.astype(np.float64), clean.astype(np.float64)
    scale = float(a @ b) / (float(b @ b) + 1e-20)
    rest = a - scale * b
    return float(10 * np.log10((scale**2 * float(b @ b) + 1e-20) / (float(rest @ rest) + 1e-20)))
