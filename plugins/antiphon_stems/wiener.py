"""Multichannel Wiener filter after the masks (Nugraha, Liutkus and Vincent, 2016): uses the stems' stereo positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples

C64 = NDArray[np.complex64]
APART = 1e-3
"""Minimum channel difference as a share of a mix's power."""
NEAR = 1e-4
"""Share of each stem's power taken as diffuse: regularises the covariance."""


def refine(spectra: C64, shares: Samples) -> C64:
    """Spectra of stems, from a mix's spectra and each stem's shares.

    For stereo, every stem's covariance in each bin is estimated over the segment, and the stems are filtered by it
    once; without stereo differences, or for mono, it is the mix times the shares. `spectra`: `[channels, frames,
    bins]`. `shares`: `[stems, frames, bins]`, whose sum is 1. Returns `[stems, channels, frames, bins]`.
    """
    power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    if len(spectra) != 2 or float(np.mean(np.abs(spectra[0] - spectra[1]) ** 2)) < APART * float(power.mean()):
        return np.asarray(shares[:, None] * spectra, np.complex64)
    left, right = spectra
    both = left * right.conj()
    weights = shares**2
    total = 2.0 * np.einsum("stf,tf->sf", weights, power) + 1e-12
    # covariances of trace 2 by bin: [[a, c], [c*, b]]
    a = 2.0 * np.einsum("stf,tf->sf", weights, np.abs(left) ** 2) / total + NEAR
    b = 2.0 * np.einsum("stf,tf->sf", weights, np.abs(right) ** 2) / total + NEAR
    c = 2.0 * np.einsum("stf,tf->sf", weights, both) / total
    mixed_a, mixed_b = (np.einsum("stf,sf->tf", shares, part) for part in (a, b))
    mixed_c = np.einsum("stf,sf->tf", shares, c)
    scale = mixed_a * mixed_b - np.abs(mixed_c) ** 2
    # the mix through the inverse of its covariance, and then through each stem's
    x = (mixed_b * left - mixed_c * right) / scale
    y = (mixed_a * right - mixed_c.conj() * left) / scale
    out = np.empty((len(shares), *spectra.shape), np.complex64)
    for n, share in enumerate(shares):
        out[n, 0] = share * (a[n] * x + c[n] * y)
        out[n, 1] = share * (c[n].conj() * x + b[n] * y)
    return out
