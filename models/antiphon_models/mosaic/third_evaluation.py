"""`antiphon evaluate third`: songs with drums, each in the timbre of another, beside transfer and the exact answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from antiphon.api import F32
from antiphon.kernel.runtime import extras
from antiphon.kernel.signal.features import import_librosa
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.learning.user_commands import run_as_it_comes, run_on_sound, sound_file
from antiphon_models.mosaic.medians import separate
from antiphon_models.mosaic.pairs import RATE
from antiphon_models.mosaic.thirds import ThirdPair, thirds
from antiphon_models.transfer.measures import chroma_likeness, log_spectral, normalised, onset_likeness, timbre_distance
from antiphon_mosaic.third import third

COUNT = 10
_COPY, _MEDIANS = "copy A", "third, drums by medians"
SAME = 0.04
"""Part by which a tempo may be off."""


class Thirds(Evaluation):
    """Songs of POP909 with drums: the notes of A, and B's programs and kit."""

    trivial = f"{_COPY}; copy B"
    classical = f"transfer; {_MEDIANS}"
    ours = "third"
    oracle = "exact"
    columns = "lsd ↓; timbre ↓; onsets; chroma; tempo"
    note = (
        "lsd: log-spectral distance to A's notes by B's programs and kit; timbre: distance of MFCC statistics to B, "
        "both as a part of the mean of copy A. onsets, chroma: agreement with A; tempo: the share within 4 % of A's."
    )
    folders = ("pop909",)
    card = "antiphon_mosaic"
    road = "`antiphon run third A OUT -p reference=B`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        extras.require("the evaluation third", ("librosa",))
        distances: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for n, item in enumerate(thirds(ask.data, "report", ask.limit or COUNT, ask.seed), 1):
            name_of_item = f"{n}: {item.name}"
            for system in self.systems:
                if not ask.wants(system.name) and system.name != _COPY:
                    continue
                out, first, second, exact = (
                    normalised(x, RATE) for x in (make_third(system.name, item), item.first, item.second, item.exact)
                )
                for key, value in (("lsd", log_spectral(out, exact)), ("timbre", timbre_distance(out, second))):
                    distances.setdefault((system.name, key), []).append((name_of_item, value))
                if ask.wants(system.name):
                    same = abs(tempo(out) / tempo(first) - 1.0) < SAME
                    rest = {"onsets": onset_likeness(out, first), "chroma": chroma_likeness(out, first), "tempo": same}
                    for key, value in rest.items():
                        yield MetricValue(system.name, key, name_of_item, float(value))
        for (name, key), values in distances.items():
            base = float(np.mean([value for _, value in distances[_COPY, key]]))
            if ask.wants(name):
                yield from (MetricValue(name, key, item_name, value / base) for item_name, value in values)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for item in thirds(ask.data, "report", ask.limit or COUNT, ask.seed):
            for system in self.systems:
                if ask.wants(system.name):
                    yield Example(item.name, system.name, make_third(system.name, item), RATE)


def make_third(system: str, item: ThirdPair) -> F32:
    """What a system makes of a pair; ours and transfer by their commands."""
    ready = {_COPY: item.first, "copy B": item.second, "exact": item.exact}
    if system in ready:
        return ready[system]
    if system == _MEDIANS:
        return np.asarray(third(item.first[None], item.second[None], RATE, apart=separate)[0], np.float32)
    with sound_file(item.second, RATE) as path:
        if system == "transfer":
            return run_on_sound(system, item.first, RATE, {"reference": path})
        return run_as_it_comes((system, "-p", f"reference={path}"), item.first, RATE)


def tempo(sound: F32) -> float:
    """Beats a minute by librosa, of sound at 22.05 kHz."""
    librosa = import_librosa()
    return float(librosa.feature.tempo(y=sound, sr=22050)[0])
