"""Fits `tables.json`: `python -m antiphon_models.loops.training DATA`. Least squares with a ridge, in closed form.

On loops that were drawn at random and on loops cut from songs. What ships is fitted on both soundfonts; what
`evaluation` reports is fitted on one, and measured on the other with other loops and other songs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F64
from antiphon_loops.analysis import key, tables, tempo
from antiphon_loops.analysis.spectrum import RATE, Picture, picture
from antiphon_loops.analysis.tables import FILE, LinearScore, LoopTables
from antiphon_loops.record import ROLES
from antiphon_models.loops import corpus, songs
from antiphon_models.loops.corpus import RATE as RENDERED, KnownLoop

COUNT, SONGS = 1056, 240
"""Number of loops per soundfont, for the shipped tables."""
SEEDS = {
    "fluidr3": {31: 192, 102: 192, 202: 192, 302: 240, 312: 240},
    "timgm6mb": {31: 192, 101: 192, 201: 192, 301: 240, 311: 240},
}
"""Seeds of the fitted loops, and number of loops of each; evaluation uses another seed and other songs."""
_SONGS = 31
_RIDGE = {"tempo": 0.3, "key": 10.0, "family": 10.0}


@dataclass(frozen=True, slots=True)
class LabelledLoop:
    """Features of a known loop with its truth. key: its index in `key.LABELS`, -1 for none."""

    role: str
    bars: int
    key: int
    candidates: list[int]
    tempo: F64
    harmony: F64
    family: F64


def item(seen: Picture, role: str, bars: int, key_name: str | None) -> LabelledLoop:
    options = tempo.candidates(seen.seconds)
    place = -1 if key_name is None else key.LABELS.index(key_name)
    return LabelledLoop(
        role, bars, place, options, tempo.features(seen, options), key.features(seen.notes), tables.features(seen)
    )


def items(loops: Iterable[KnownLoop]) -> Iterable[LabelledLoop]:
    import soxr

    for known in loops:
        mono = soxr.resample(known.samples.mean(axis=0), RENDERED, RATE).astype(np.float32)
        seen = picture(mono, known.samples.shape[1] / RENDERED)
        yield item(seen, known.kind, known.bars, known.key)


def loops(soundfont: str, count: int, data: Path | None, cut: int) -> Iterator[KnownLoop]:
    """Fitting material: `count` random loops, and `cut` of songs where there are any."""
    for seed, most in SEEDS[soundfont].items():
        yield from corpus.render_loops(min(count, most), soundfont, seed)
        count = max(0, count - most)
    if data is not None:
        yield from songs.drawn(data, cut, soundfont, _SONGS, songs.FIT)


def fit(known: Sequence[LabelledLoop]) -> LoopTables:
    return LoopTables(
        {role: _tempo([x for x in known if x.role == role]) for role in ROLES},
        {role: _key([x for x in known if x.role == role]) for role in ROLES if role != "drums"},
        _family(known),
    )


def _tempo(known: Sequence[LabelledLoop]) -> LinearScore:
    """Linear score fitted to the feature difference of the right candidate from each wrong one."""
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
    return LinearScore(mean, spread, np.linalg.solve(a.T @ a + ridge, a.sum(axis=0)))


def _key(known: Sequence[LabelledLoop]) -> F64:
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


def _family(known: Sequence[LabelledLoop]) -> LinearScore:
    rows = np.array([x.family for x in known])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    a = tables.expand_features(rows, mean, spread)
    wanted = np.eye(len(ROLES))[[ROLES.index(x.role) for x in known]]
    ridge = _RIDGE["family"] * np.eye(a.shape[1])
    return LinearScore(mean, spread, np.asarray(np.linalg.solve(a.T @ a + ridge, a.T @ wanted), np.float64))


def main(data: Path) -> None:
    known = [x for soundfont in SEEDS for x in items(loops(soundfont, COUNT, data, SONGS))]
    FILE.write_text(json.dumps(fit(known).to_json(), separators=(",", ":")) + "\n")
    print(f"{FILE.name}: {FILE.stat().st_size} bytes, from {len(known)} loops")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
