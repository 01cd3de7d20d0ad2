"""Classifies a loop as drums, bass, chords or melody, by shape and movement of the spectrum and by its notes."""

from __future__ import annotations

import numpy as np

from antiphon.api import F64
from antiphon_loops.analysis.spectrum import BANDS, LOWEST, Picture


def features(seen: Picture) -> F64:
    """Feature row, independent of the loop's level."""
    mel = seen.mel.astype(np.float64)
    energy = mel.sum(axis=1)
    audible = energy > energy.max() * 1e-3
    if audible.sum() < 8:
        audible[:] = True
    log = 10 * np.log10(mel / (mel.max() + 1e-12) + 1e-7)
    mean = mel.mean(axis=0)
    share = mean / (mean.sum() + 1e-12)
    bands = np.arange(BANDS)
    centre = float(share @ bands)
    width = float(np.sqrt(share @ (bands - centre) ** 2))
    over_time, over_bands = float(np.abs(np.diff(log, axis=0)).mean()), float(np.abs(np.diff(log, axis=1)).mean())
    inner = seen.power[:, 4:400].astype(np.float64)
    flat = np.exp(np.log(inner + 1e-12).mean(axis=1)) / (inner.mean(axis=1) + 1e-12)
    flat = np.log(flat[audible] + 1e-6)
    moving = (mel @ bands)[audible] / (energy[audible] + 1e-12)
    level = 10 * np.log10(energy[audible] / (energy.max() + 1e-12) + 1e-6)
    row = [
        centre, width, over_time, over_bands, over_time / (over_bands + 1e-9),
        float(flat.mean()), float(flat.std()), *np.percentile(flat, [10, 90]),
        float(moving.std()), float(np.subtract(*np.percentile(moving, [90, 10]))),
        *_notes(seen.notes), *(5 * seen.onsets.mean(axis=1)), *(5 * seen.onsets.std(axis=1)),
        *np.percentile(level, [10, 50, 90]),
    ]  # fmt: skip
    return np.concatenate([10 * np.log10(share + 1e-6), log[audible].std(axis=0), row])


def _notes(notes: F64) -> list[float]:
    level = np.sqrt(notes / (notes.max() + 1e-12))
    peak = level.max(axis=0)
    on = (level > 0.25 * (peak + 1e-9)) & (level > 0.12)
    many = on.sum(axis=0)[peak > 0.15] if (peak > 0.15).any() else np.zeros(1)
    share = level.sum(axis=1) / (level.sum() + 1e-9)
    pitch = np.arange(LOWEST, LOWEST + len(level))
    mean = float(share @ pitch)
    some = on.any(axis=0)
    low = LOWEST + np.argmax(on[:, some], axis=0) if some.any() else np.array([60])
    return [
        float(many.mean()),
        float(many.max()),
        float(many.std()),
        mean,
        float(np.sqrt(share @ (pitch - mean) ** 2)),
        float(np.median(low)),
        float(low.min()),
        float(low.std()),
        float(np.percentile(low, 90)),
        float(-(share * np.log(share + 1e-9)).sum()),
        float(np.sort(level, axis=0)[-3:].sum() / (level.sum() + 1e-9)),
        float(np.abs(np.diff(level, axis=1)).sum() / (level.sum() + 1e-9)),
    ]


def expand_features(rows: F64, mean: F64, spread: F64) -> F64:
    """Standardised features, their squares, and 1."""
    z = np.clip((rows - mean) / spread, -4.0, 4.0)
    return np.hstack([z, z**2 - 1.0, np.ones((len(z), 1))])
