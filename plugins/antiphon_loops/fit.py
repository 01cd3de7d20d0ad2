"""Fits `tables.json`: `python -m antiphon_loops.fit`. Least squares with a ridge, in closed form, on loops of `corpus`.

What ships is fitted on both soundfonts; what `evaluation` reports is fitted on one and measured on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon_loops import family, key, tempo
from antiphon_loops.record import ROLES
from antiphon_loops.spectrum import F64, RATE, Picture, picture
from antiphon_loops.tables import FILE, Line, Tables

COUNT = 1200
SEEDS = {"fluidr3": 102, "timgm6mb": 101}
"""Of the loops the shipped tables are fitted on; evaluation draws others."""
_RIDGE = {"tempo": 0.3, "key": 10.0, "family": 10.0}


@dataclass(frozen=True, slots=True)
class Item:
    """A known loop's features and truth. key: its place in `key.LABELS`, -1 for none."""

    role: str
    bars: int
    key: int
    candidates: list[int]
    tempo: F64
    harmony: F64
    family: F64


def item(seen: Picture, role: str, bars: int, key_name: str | None) -> Item:
    options = tempo.candidates(seen.seconds)
    place = -1 if key_name is None else key.LABELS.index(key_name)
    return Item(
        role, bars, place, options, tempo.features(seen, options), key.features(seen.notes), family.features(seen)
    )


def items(count: int, soundfont: str, seed: int) -> Iterable[Item]:
    import soxr

    from antiphon_loops import corpus

    for known in corpus.rendered(count, soundfont, seed):
        mono = soxr.resample(known.samples.mean(axis=0), corpus.RATE, RATE).astype(np.float32)
        seen = picture(mono, known.samples.shape[1] / corpus.RATE)
        yield item(seen, known.kind, known.bars, known.key)


def fit(known: Sequence[Item]) -> Tables:
    return Tables(
        {role: _tempo([x for x in known if x.role == role]) for role in ROLES},
        {role: _key([x for x in known if x.role == role]) for role in ROLES if role != "drums"},
        _family(known),
    )


def _tempo(known: Sequence[Item]) -> Line:
    """What the right candidate has more than each wrong one is to score 1."""
    rows = np.vstack([x.tempo for x in known])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    pairs = []
    for x in known:
        if x.bars in x.candidates:
            z = (x.tempo - mean) / spread
            right = x.candidates.index(x.bars)
            pairs += [z[right] - z[n] for n in range(len(z)) if n != right]
    a = np.array(pairs)
    ridge = _RIDGE["tempo"] * len(known) * np.eye(a.shape[1])
    return Line(mean, spread, np.linalg.solve(a.T @ a + ridge, a.sum(axis=0)))


def _key(known: Sequence[Item]) -> F64:
    left: F64 | float = 0.0
    right: F64 | float = 0.0
    for x in known:
        if x.key >= 0:
            rows = key.design(x.harmony)
            rows = rows - rows.mean(axis=0)
            left = left + rows.T @ rows
            right = right + rows[x.key]
    assert isinstance(left, np.ndarray)
    return np.asarray(np.linalg.solve(left + _RIDGE["key"] * np.eye(len(left)), right))


def _family(known: Sequence[Item]) -> Line:
    rows = np.array([x.family for x in known])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    a = family.widened(rows, mean, spread)
    wanted = np.eye(len(ROLES))[[ROLES.index(x.role) for x in known]]
    ridge = _RIDGE["family"] * np.eye(a.shape[1])
    return Line(mean, spread, np.asarray(np.linalg.solve(a.T @ a + ridge, a.T @ wanted), np.float64))


def main() -> None:
    known = [x for soundfont, seed in SEEDS.items() for x in items(COUNT, soundfont, seed)]
    FILE.write_text(json.dumps(fit(known).to_json(), separators=(",", ":")) + "\n")
    print(f"{FILE.name}: {FILE.stat().st_size} bytes, from {len(known)} loops")


if __name__ == "__main__":
    main()
