"""Fitted weights of `tables.json`: linear functions and normal distributions (`antiphon_models.listen.fitting`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from antiphon.api import F64

FILE = Path(__file__).with_name("tables.json")


@dataclass(frozen=True, slots=True)
class Tables:
    """Fitted weights of beats, bars, chords and key.

    Attributes:
        grid_mean: `[g]`, of `beats.features`.
        grid_spread: `[g]`, their standard deviation.
        grid_weights: `[g]`, of the standardised features.
        chord_mean: `[3, 24]`, of major, minor and no chord, their root turned to place 0.
        chord_precision: `[3, 24, 24]`, the inverse of their covariance.
        bar_weights: `[b]`, of `bars.features`, the constant last.
        key_weights: `[k]`, of `harmony.key_features`.
    """

    grid_mean: F64
    grid_spread: F64
    grid_weights: F64
    chord_mean: F64
    chord_precision: F64
    bar_weights: F64
    key_weights: F64

    def to_json(self) -> str:
        """Tables as a JSON object, in their file's format."""
        rows = {name: np.round(getattr(self, name), 5).tolist() for name in self.__dataclass_fields__}
        return json.dumps(rows, separators=(",", ":")) + "\n"


@cache
def load(file: Path = FILE) -> Tables:
    return Tables(**{name: np.array(row, np.float64) for name, row in json.loads(file.read_text()).items()})


PHRASES = Path(__file__).with_name("phrases.json")


@dataclass(frozen=True, slots=True)
class Odds:
    """Small fitted function of features: a linear layer, rectified, and a linear output.

    Attributes:
        mean: `[f]`.
        spread: `[f]`, standard deviation.
        lines: `[f + 1, h]`, of the standardised features, the constants last.
        line: `[h + 1]`, the constant last.
    """

    mean: F64
    spread: F64
    lines: F64
    line: F64

    def __call__(self, table: F64) -> F64:
        """Log odds of each row, `[n]`."""
        even = np.clip((table - self.mean) / self.spread, -_FARTHEST, _FARTHEST)
        return np.asarray(np.maximum(0.0, even @ self.lines[:-1] + self.lines[-1]) @ self.line[:-1] + self.line[-1])


_FARTHEST = 5.0
"""Clipping of features in standard deviations: values beyond the fit's data are no stronger evidence."""


@dataclass(frozen=True, slots=True)
class PhraseTables:
    """Weights of `phrases`.

    Attributes:
        near: Of `phrases.features`.
        far: Of `phrases.context`.
        lengths: `[l]`, log shares of phrases of so many beats.
        path: `[3]`: what lengths count, what odds count, what each phrase adds.
    """

    near: Odds
    far: Odds
    lengths: F64
    path: F64

    def to_json(self) -> str:
        """Tables as a JSON object, in their file's format."""
        rows = {
            part: {name: _digits(getattr(getattr(self, part), name)) for name in Odds.__dataclass_fields__}
            for part in ("near", "far")
        }
        return (
            json.dumps({**rows, "lengths": _digits(self.lengths), "path": _digits(self.path)}, separators=(",", ":"))
            + "\n"
        )


def _digits(row: F64) -> object:
    return np.round(row, 4).tolist()


@cache
def load_phrases(file: Path = PHRASES) -> PhraseTables:
    rows = json.loads(file.read_text())
    near, far = (
        Odds(**{name: np.array(row, np.float64) for name, row in rows[part].items()}) for part in ("near", "far")
    )
    return PhraseTables(near, far, np.array(rows["lengths"]), np.array(rows["path"]))
