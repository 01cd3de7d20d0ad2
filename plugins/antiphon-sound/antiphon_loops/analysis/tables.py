"""Fitted weights from `tables.json` (written by `fit`), and the scores computed with them; key and family of a loop.

A linear model, fitted per role to loops of known key (`fit`), scores each of the 24 keys by sounding, lowest, first and
last notes, and triads, with features rotated to its tonic. A profile of pitch classes alone (Krumhansl)
does not distinguish a key from its relative.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F64, SHARP_NAMES
from antiphon_loops.analysis import tempo
from antiphon_loops.analysis.spectrum import BANDS, LOWEST, Picture
from antiphon_loops.record import ROLES

LABELS = tuple(f"{name} {mode}" for mode in ("major", "minor") for name in SHARP_NAMES)
_ALONE = 0.75
"""Share of the power from which a pitch class sounds alone: of clicks .78 to .86, of 12 tonal loops up to .58."""


def key_features(notes: F64) -> F64:
    """Features `[17, 12]`: rows of twelve pitch classes from C on. `notes`: as in `Picture`."""
    level = np.sqrt(notes / (notes.max() + 1e-12))
    level[level < 0.12] = 0.0
    frames = level.shape[1]
    chroma = np.zeros((12, frames))
    for place, row in enumerate(level):
        chroma[(place + LOWEST) % 12] += row
    low = np.zeros((12, frames))
    strong = (level > 0.35 * level.max(axis=0)) & (level > 0)
    for frame in np.flatnonzero(strong.any(axis=0)):
        place = int(np.argmax(strong[:, frame]))
        low[(place + LOWEST) % 12, frame] = level[place, frame]
    each = chroma / (np.linalg.norm(chroma, axis=0) + 0.05)
    end = max(1, frames // 8)
    total = chroma.sum(axis=1)
    rows = [
        total, np.minimum(total, 0.35 * total.max()), each.mean(axis=1), low.sum(axis=1), chroma[:, :end].sum(axis=1),
        low[:, :end].sum(axis=1), chroma[:, -end:].sum(axis=1), low[:, -end:].sum(axis=1),
        chroma[:, :2].sum(axis=1), chroma[:, -3:].sum(axis=1), each.max(axis=1), np.minimum(total, 0.12 * total.max()),
        np.minimum(low.sum(axis=1), 0.2 * low.sum(axis=1).max()),
    ]  # fmt: skip
    rows = [row / (np.linalg.norm(row) + 1e-9) for row in rows]
    rows += [2.0 * _triad_strengths(each, third) for third in (4, 3)]
    rows += [_triad_strengths(each[:, :end], third) for third in (4, 3)]
    return np.stack(rows)


def _triad_strengths(chroma: F64, third: int) -> F64:
    parts = np.stack([chroma, np.roll(chroma, -third, axis=0), np.roll(chroma, -7, axis=0)])
    return np.asarray(parts.min(axis=0).mean(axis=1))


def design(rows: F64) -> F64:
    """A row for each of `LABELS`: major keys' features in one half, minor keys' in the other."""
    size = rows.size
    out = np.zeros((24, 2 * size + 1))
    for place in range(24):
        mode, tonic = divmod(place, 12)
        out[place, mode * size : (mode + 1) * size] = np.roll(rows, -tonic, axis=1).ravel()
        out[place, -1] = mode
    return out


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


UNEVEN, EVEN = -0.1, 0.2
"""Typical scores of excerpts cut without regard to bars (median 0 of 100 recordings, .83 of them below 0.2), and of
whole bars (.90 to .97 of rendered loops above 0.2).
"""
_MIN_SURE = 0.02
FILE = Path(__file__).with_name("tables.json")


@dataclass(frozen=True, slots=True)
class LinearScore:
    """score = weights · (x - mean) / spread."""

    mean: F64
    spread: F64
    weights: F64


@dataclass(frozen=True, slots=True)
class BarCount:
    """Fitted scores of a loop's number of bars.

    `sure`: confidence, above 0 to 1, from the score's distance to the second best; lower if the score itself is low,
    unless the tempo is a whole number.
    """

    bars: int
    sure: float
    other: int  # the second likeliest number; `bars` where there is no other
    score: float  # score of `bars`; of right numbers it is near 1, and less for what is cut unevenly


@dataclass(frozen=True, slots=True)
class LoopTables:
    """Fitted weights of the analysis: tempo and key by role, and the role itself."""

    tempo: Mapping[str, LinearScore]
    key: Mapping[str, F64]
    family: LinearScore  # with a column for each role

    def role(self, seen: Picture) -> str:
        row = expand_features(features(seen)[None], self.family.mean, self.family.spread)
        return ROLES[int(np.argmax((row @ self.family.weights)[0]))]

    def bars(self, seen: Picture, role: str) -> BarCount:
        line, options = self.tempo[role], tempo.candidates(seen.seconds)
        scores = ((tempo.features(seen, options) - line.mean) / line.spread) @ line.weights
        order = np.argsort(-scores)
        other = options[int(order[1])] if len(order) > 1 else options[0]
        best = float(scores[order[0]])
        whole = min(1.0, max(_MIN_SURE, (best - UNEVEN) / (EVEN - UNEVEN)))
        if tempo.has_round_tempo(seen.seconds, options[int(order[0])]):
            whole = 1.0
        return BarCount(options[int(order[0])], max(0.001, round(whole * _sure(scores, 4.0), 3)), other, best)

    def key_of(self, seen: Picture, role: str) -> tuple[str, float]:
        """One of `LABELS`, and its confidence, 0 to 1; 0 where one pitch class sounds alone, as of clicks."""
        scores = design(key_features(seen.notes)) @ self.key[role]
        power = np.bincount((np.arange(len(seen.notes)) + LOWEST) % 12, seen.notes.sum(axis=1))
        alone = power.max() >= _ALONE * power.sum()
        return LABELS[int(np.argmax(scores))], 0.0 if alone else _sure(scores, 12.0)

    def to_json(self) -> dict[str, Any]:
        return {
            "tempo": {role: _linear_score_to_json(line) for role, line in self.tempo.items()},
            "key": {role: _plain(w) for role, w in self.key.items()},
            "family": _linear_score_to_json(self.family),
        }


@cache
def load() -> LoopTables:
    data = json.loads(FILE.read_text())
    return LoopTables(
        {role: _linear_score_from_json(line) for role, line in data["tempo"].items()},
        {role: np.array(w) for role, w in data["key"].items()},
        _linear_score_from_json(data["family"]),
    )


def _sure(scores: F64, sharp: float) -> float:
    if len(scores) < 2:
        return 1.0
    best, second = np.sort(scores)[[-1, -2]]
    return round(float(1.0 - np.exp(-sharp * (best - second))), 3)


def _plain(values: F64) -> Any:
    return [_plain(v) for v in values] if values.ndim > 1 else [float(f"{v:.4g}") for v in values]


def _linear_score_to_json(line: LinearScore) -> dict[str, Any]:
    return {"mean": _plain(line.mean), "spread": _plain(line.spread), "weights": _plain(line.weights)}


def _linear_score_from_json(data: dict[str, Any]) -> LinearScore:
    return LinearScore(np.array(data["mean"]), np.array(data["spread"]), np.array(data["weights"]))
