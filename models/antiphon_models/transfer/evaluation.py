"""`antiphon evaluate transfer`: timbre transfer beside the unchanged input, classical methods and the exact answer.

Tuning was done with part "tune" of FluidR3; part "report" shares neither songs nor pairs of instruments with it, and
TimGM6mb was not tuned on at all.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import run_on_sound, sound_file
from antiphon_models.transfer.baselines import WAYS
from antiphon_models.transfer.measures import measure
from antiphon_models.transfer.renders import RATE, SOUNDFONTS, items, synthetic_items

MODES = ("envelope", "wavelet")
COUNT = 24
"""Items of each soundfont, where no limit is given."""
GROUPS = {"fluid": "FluidR3", "timgm": "TimGM6mb, never tuned on"}
_RATIOS = ("lsd", "timbre")
_UNCHANGED = "copy A"


@dataclass(slots=True)
class TransferCommand:
    """`antiphon run transfer` in one mode.

    `mode`: the node's mode; `speed`: times real time of the last call, the reference's analysis and the files included.
    """

    mode: str
    speed: float = 0.0

    def __call__(self, source: F32, reference: F32) -> F32:
        with sound_file(reference, RATE) as path:
            began = time.perf_counter()
            output = run_on_sound("transfer", source, RATE, {"mode": self.mode, "reference": path})
            self.speed = len(source) / RATE / (time.perf_counter() - began)
        return output


class Transferring(Evaluation):
    """Songs and chorales by one instrument, to be given the timbre of another."""

    trivial = "copy A; copy B"
    classical = "EQ match; cepstral; quantiles; NMF"
    ours = "; ".join(MODES)
    oracle = "exact"
    columns = "lsd ↓; timbre ↓; onsets; chroma; pitch; real time [x]"
    note = (
        "lsd: log-spectral distance to the exact answer, timbre: distance of MFCC statistics to the reference, both as "
        "a part of the mean of the unchanged input (copy A). onsets, chroma, pitch: agreement with the input. The "
        "measures are our own."
    )
    folders = ("pop909", "jsb")
    synthetic_doc = "melodies over chords drawn by seed, by the same instruments"
    card = "antiphon_transfer"
    road = "`antiphon run transfer IN OUT -p mode=MODE -p reference=FILE`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of each soundfont's items: as they come, and ratios at the end of each soundfont."""
        count = ask.limit or COUNT
        for soundfont in SOUNDFONTS:
            ways = {name: way for name, way in systems().items() if ask.wants(name) or name == _UNCHANGED}
            distances: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
            if ask.synthetic:
                tasks = synthetic_items(soundfont, count, ask.seed)
            else:
                tasks = items(ask.data, soundfont, "report", count, ask.seed)
            for n, item in enumerate(tasks, 1):
                name_of_item = f"{n}: {item.name}"
                outputs = {name: way(item.source, item.reference) for name, way in ways.items()}
                if ask.wants("exact"):
                    outputs["exact"] = item.target
                for name, output in outputs.items():
                    row = measure(output, item.source, item.target, item.reference, RATE)
                    for key in _RATIOS:
                        distances[name, key].append((name_of_item, row.pop(key)))
                    way = ways.get(name)
                    if isinstance(way, TransferCommand):
                        row["real time"] = way.speed
                    if ask.wants(name):
                        yield from scored(name, name_of_item, row, GROUPS[soundfont])
            for (name, key), values in distances.items():
                base = float(np.mean([value for _, value in distances[_UNCHANGED, key]]))
                if ask.wants(name):
                    for name_of_item, value in values:
                        yield MetricValue(name, key, name_of_item, value / base, GROUPS[soundfont])


def systems() -> dict[str, Callable[[F32, F32], F32]]:
    """Every system but the exact answer: (source, reference) to output, mono at `RATE`."""
    return {**WAYS, **{mode: TransferCommand(mode) for mode in MODES}}
