"""Fitted weights of `tables.json`: linear functions and normal distributions (`antiphon_models.listen.fitting`)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from antiphon.api import F64

FILE = Path(__file__).with_name("tables.json")


@dataclass(frozen=True, slots=True)
class Tables:
    """Fitted weights of beats, bars, chords and key."""

    grid_mean: F64  # `[g]`, of `beats.features`
    grid_spread: F64  # `[g]`, their standard deviation
    grid_weights: F64  # `[g]`, of the standardised features
    chord_mean: F64  # `[3, 24]`, of major, minor and no chord, their root turned to place 0
    chord_precision: F64  # `[3, 24, 24]`, the inverse of their covariance
    bar_weights: F64  # `[b]`, of `bars.features`, the constant last
    drum_weights: F64  # `[b]`, of the same with drums
    waltz_weights: F64  # `[b]`, of the same in bars of three
    key_weights: F64  # `[k]`, of `harmony.key_features`
    pair_mean: F64  # `[p]`, of `meters.features`
    pair_spread: F64  # `[p]`, their standard deviation
    pair_weights: (
        F64  # `[1 + 5 (p + 1)]`: of a grid's score; for each meter of the standardised features, and a constant
    )

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
    """Small fitted function of features: a linear layer, rectified, and a linear output."""

    mean: F64  # `[f]`
    spread: F64  # `[f]`, standard deviation
    lines: F64  # `[f + 1, h]`, of the standardised features, the constants last
    line: F64  # `[h + 1]`, the constant last

    def __call__(self, table: F64) -> F64:
        """Log odds of each row, `[n]`."""
        even = np.clip((table - self.mean) / self.spread, -_CLIP, _CLIP)
        return np.asarray(np.maximum(0.0, even @ self.lines[:-1] + self.lines[-1]) @ self.line[:-1] + self.line[-1])


_CLIP = 5.0
"""Maximum of features in standard deviations: values beyond the fit's data are no stronger evidence."""


@dataclass(frozen=True, slots=True)
class PhraseTables:
    """Weights of `phrases`."""

    near: Odds  # of `phrases.features`
    far: Odds  # of `phrases.context`
    lengths: F64  # `[l]`, log shares of phrase lengths in beats
    path: F64  # `[3]`: what lengths count, what odds count, what each phrase adds

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
