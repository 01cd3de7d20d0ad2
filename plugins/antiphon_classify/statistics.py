"""A sound's timbre and rhythm as one vector: statistics of its log-mel spectrogram."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_classify.network import level_free

FRAMES = 256
"""Frames of a segment: 5.9 s, several bars."""
GROUP = 4
"""Bands whose rises are averaged."""
REGIONS = ((0, 16), (16, 40), (40, 64))
"""Bands of low, middle and high sounds, whose rhythms are apart."""
LAGS = (4, 101)
"""Frames: 93 ms to 2.3 s, from sixteenths to bars."""
QUANTILES = (0.5, 0.9, 0.99)
ONSET = 2.0
"""dB that the mean of a region's bands rises in an onset."""
LOUD = 50.0
"""dB below the loudest frame under which a frame says nothing of the timbre."""
SIZE = 2 * 64 + 64 // GROUP + (len(REGIONS) + 1) * (LAGS[1] - LAGS[0] + len(QUANTILES) + 1) + 64 // GROUP + 2


def statistics(mel: F32) -> F32:
    """The statistics float32 `[segments, SIZE]` of segments `[segments, FRAMES, 64]` in dB, of any level.

    Mean and deviation of each band; mean rises by group of bands; of each region and of all bands the autocorrelation,
    the quantiles and the peaks of their rises; shares of power by group of bands, its centroid, and the deviation of
    the level.
    """
    x = level_free(mel)
    rises = np.maximum(np.diff(x, axis=1), 0.0)
    grouped = rises.mean(axis=1).reshape(len(x), -1, GROUP).mean(axis=2)
    parts = [x.mean(axis=1), x.std(axis=1), grouped]
    for first, last in (*REGIONS, (0, 64)):
        strength = rises[:, :, first:last].mean(axis=2)
        parts.append(_autocorrelation(strength))
        parts.append(np.quantile(strength, QUANTILES, axis=1).T)
        parts.append(_peaks(strength)[:, None])
    parts += _timbre(x)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _peaks(strength: F32) -> F32:
    """Local maxima of at least `ONSET`, as a share of the frames."""
    within = strength[:, 1:-1]
    found = (within > strength[:, :-2]) & (within >= strength[:, 2:]) & (within > ONSET)
    return np.asarray(found.mean(axis=1), np.float32)


def _timbre(x: F32) -> list[F32]:
    """Shares of power by group of bands, its centroid from 0 to 1, and the deviation of the level in dB."""
    power = 10.0 ** (x / 10.0)
    total = power.sum(axis=2)
    level = 10.0 * np.log10(total)
    loud = level > level.max(axis=1, keepdims=True) - LOUD
    count = loud.sum(axis=1)[:, None]
    shares = ((power / total[:, :, None]) * loud[:, :, None]).sum(axis=1) / count
    mean = (level * loud).sum(axis=1)[:, None] / count
    spread = np.sqrt((((level - mean) ** 2) * loud).sum(axis=1)[:, None] / count)
    bands = shares.shape[1]
    centroid = shares @ np.arange(bands, dtype=np.float32)[:, None] / bands
    return [shares.reshape(len(x), -1, GROUP).sum(axis=2), centroid, spread]


def _autocorrelation(strength: F32) -> F32:
    """The autocorrelation at `LAGS` as a share of that at 0; 0 where nothing rises."""
    centred = strength - strength.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * FRAMES, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)
    return np.asarray(products[:, LAGS[0] : LAGS[1]] / (products[:, :1] + 1e-6), np.float32)
