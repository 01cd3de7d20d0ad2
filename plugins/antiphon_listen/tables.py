"""The fitted weights, `tables.json`: lines and normal distributions, no network (`antiphon_models.listen.fitting`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
FILE = Path(__file__).with_name("tables.json")


@dataclass(frozen=True, slots=True)
class Tables:
    """The weights.

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
        """As the file has it."""
        rows = {name: np.round(getattr(self, name), 5).tolist() for name in self.__dataclass_fields__}
        return json.dumps(rows, separators=(",", ":")) + "\n"


@cache
def load(file: Path = FILE) -> Tables:
    """The weights of a file."""
    return Tables(**{name: np.array(row, np.float64) for name, row in json.loads(file.read_text()).items()})
