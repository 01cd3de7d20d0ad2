"""Fitted weights from `tables.json` (written by `fit`), and the scores computed with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F64
from antiphon_loops.analysis import family, key, tempo
from antiphon_loops.analysis.spectrum import Picture
from antiphon_loops.record import ROLES

UNEVEN, EVEN = -0.1, 0.2
"""Scores of excerpts cut without regard to bars (100 of recordings: a median of 0, .83 below 0.2), and of whole bars
(rendered loops: .90 to .97 above it).
"""
_LEAST_SURE = 0.02
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

    `sure`: confidence, above 0 to 1: by the distance of its score to the second best; less where the score itself is
    low, unless the tempo is a whole number.
    """

    bars: int
    sure: float
    other: int  # the second likeliest number; `bars` where there is no other
    score: float  # score of `bars`; of right numbers it is near 1, and less for what is cut unevenly


@dataclass(frozen=True, slots=True)
class LoopTables:
    """tempo: by role.  key: weights by role.  family: `weights` has a column for each role."""

    tempo: Mapping[str, LinearScore]
    key: Mapping[str, F64]
    family: LinearScore

    def role(self, seen: Picture) -> str:
        row = family.expand_features(family.features(seen)[None], self.family.mean, self.family.spread)
        return ROLES[int(np.argmax((row @ self.family.weights)[0]))]

    def bars(self, seen: Picture, role: str) -> BarCount:
        line, options = self.tempo[role], tempo.candidates(seen.seconds)
        scores = ((tempo.features(seen, options) - line.mean) / line.spread) @ line.weights
        order = np.argsort(-scores)
        other = options[int(order[1])] if len(order) > 1 else options[0]
        best = float(scores[order[0]])
        whole = min(1.0, max(_LEAST_SURE, (best - UNEVEN) / (EVEN - UNEVEN)))
        if tempo.is_round(seen.seconds, options[int(order[0])]):
            whole = 1.0
        return BarCount(options[int(order[0])], max(0.001, round(whole * _sure(scores, 4.0), 3)), other, best)

    def key_of(self, seen: Picture, role: str) -> tuple[str, float]:
        """One of `key.LABELS`, and its confidence, 0 to 1."""
        scores = key.design(key.features(seen.notes)) @ self.key[role]
        return key.LABELS[int(np.argmax(scores))], _sure(scores, 12.0)

    def to_json(self) -> dict[str, Any]:
        return {
            "tempo": {role: _line_to(line) for role, line in self.tempo.items()},
            "key": {role: _plain(w) for role, w in self.key.items()},
            "family": _line_to(self.family),
        }


@cache
def load() -> LoopTables:
    data = json.loads(FILE.read_text())
    return LoopTables(
        {role: _line_from(line) for role, line in data["tempo"].items()},
        {role: np.array(w) for role, w in data["key"].items()},
        _line_from(data["family"]),
    )


def _sure(scores: F64, sharp: float) -> float:
    if len(scores) < 2:
        return 1.0
    best, second = np.sort(scores)[[-1, -2]]
    return round(float(1.0 - np.exp(-sharp * (best - second))), 3)


def _plain(values: F64) -> Any:
    return [_plain(v) for v in values] if values.ndim > 1 else [float(f"{v:.4g}") for v in values]


def _line_to(line: LinearScore) -> dict[str, Any]:
    return {"mean": _plain(line.mean), "spread": _plain(line.spread), "weights": _plain(line.weights)}


def _line_from(data: dict[str, Any]) -> LinearScore:
    return LinearScore(np.array(data["mean"]), np.array(data["spread"]), np.array(data["weights"]))
