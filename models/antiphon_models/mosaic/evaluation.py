"""`antiphon evaluate mosaic`: how closely units of one sound follow another, beside the plain ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from antiphon.api import F32
from antiphon.kernel.runtime import extras
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue, scored
from antiphon_models.learning.user_commands import run_on_sound, sound_file
from antiphon_models.mosaic.baselines import nearest_unit, random_grains
from antiphon_models.mosaic.measures import measure
from antiphon_models.mosaic.pairs import RATE, Pair, pairs

COUNT = 24
"""Pairs, where no limit is given."""
_RANDOM = "random grains"


class Mosaicing(Evaluation):
    """Recordings, loops, singing and songs, each by units of another."""

    trivial = _RANDOM
    classical = "nearest unit"
    ours = "mosaic; mosaic fit=0"
    columns = "onsets; rises; loudness; chroma; MFCC ↓"
    note = (
        "onsets: F1 within 50 ms by librosa's detector; rises: the same of level alone; loudness: its correlation; "
        "chroma: cosine; MFCC: distance to the target's, as a part of the mean of random grains."
    )
    folders = ("tracks", "sonicpi", "singing", "pop909")
    card = "antiphon_mosaic"
    road = "`antiphon run mosaic TARGET OUT -p reference=FILE`, fit=0 with `-p fit=0`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        extras.require("the evaluation mosaic", ("librosa", "mir_eval"))
        distances: dict[str, list[tuple[str, float]]] = {}
        for n, pair in enumerate(pairs(ask.data, "report", ask.limit or COUNT, ask.seed), 1):
            item = f"{n}: {pair.name}"
            for name, way in WAYS.items():
                if ask.wants(name) or name == _RANDOM:
                    row = measure(way(pair), pair.target, RATE)
                    distances.setdefault(name, []).append((item, row.pop("MFCC")))
                    if ask.wants(name):
                        yield from scored(name, item, row)
        base = float(np.mean([value for _, value in distances[_RANDOM]]))
        for name, values in distances.items():
            if ask.wants(name):
                yield from (MetricValue(name, "MFCC", item, value / base) for item, value in values)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for pair in pairs(ask.data, "report", ask.limit or COUNT, ask.seed):
            yield Example(pair.name, "target", pair.target, RATE)
            for name, way in ask.wanted(WAYS).items():
                yield Example(pair.name, name, way(pair), RATE)


def by_command(pair: Pair, **values: float) -> F32:
    """`antiphon run mosaic` on a pair."""
    with sound_file(pair.reference, RATE) as path:
        return run_on_sound("mosaic", pair.target, RATE, {"reference": path, **values})


WAYS: dict[str, Callable[[Pair], F32]] = {
    _RANDOM: lambda pair: random_grains(pair.target, pair.reference, RATE),
    "nearest unit": lambda pair: nearest_unit(pair.target, pair.reference, RATE),
    "mosaic": by_command,
    "mosaic fit=0": lambda pair: by_command(pair, fit=0.0),
}
