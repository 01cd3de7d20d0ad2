"""`antiphon evaluate loops`: the analysis on loops of known tempo, bars and key, and pieces made of such loops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import ClassVar

from antiphon.api import UsageError
from antiphon.runtime import extras
from antiphon_models.learning import needs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System
from antiphon_models.loops import corpus, songs, training
from antiphon_models.loops.corpus import Known
from antiphon_models.loops.midifile import why_not
from antiphon_models.loops.pieces import measured_pieces
from antiphon_models.loops.systems import PEERS, Guesser, marks, ours, trivial

_SEED = 33
"""Times the request's: no multiple of it is a seed that the shipped tables were fitted on (`training.SEEDS`)."""
LOOPS, PIECES, LIBRARY = 84, 20, 60
"""Without a limit: loops measured in each direction (and half as many of songs), pieces, and loops in the library of
which pieces are made. As much of one soundfont is fitted on as the shipped tables have of each.
"""
_DRAWN, _CUT, _PIECES, _COST = "loops drawn at random", "loops cut from songs", "pieces", "cost"
_LATE = "half of the drawn loops, behind a silence of 0.1 to 1.5 s"


class Looping(Evaluation):
    """Rendered loops: fitted on one soundfont and measured on the other, in both directions."""

    folders: ClassVar[tuple[str, ...]] = ("pop909",)
    synthetic_doc: ClassVar[str] = "loops drawn at random alone, none of them cut from songs"
    card: ClassVar[str] = "antiphon_loops"
    road: ClassVar[str] = (
        "the analysis `loop` with tables fitted on the other soundfont, not the ones that ship; pieces "
        "by the plugin's job"
    )
    systems: ClassVar[tuple[System, ...]] = (
        System("nearest to 110 bpm", "trivial"),
        System("librosa beats", "peer"),
        System("length-aware", "peer"),
        System("Krumhansl", "peer"),
        System("loops", "ours"),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        *(Measure(name) for name in ("tempo", "exact", "bars", "used", "tempo of used", "key", "keyless", "family")),
        Measure("length", "ms off", "lower"),
        Measure("tempo off", "%", "lower"),
        Measure("on 16ths"),
        Measure("in one scale"),
        Measure("quietest bar", "dB"),
        Measure("true peak", "dB", "lower"),
        Measure("loudness", "LUFS"),
        *(Measure(name, "x") for name in ("speed", "analysis", "new library", "known library")),
        *(Measure(name, "µs", "lower") for name in ("block p50", "block p99")),
    )
    note: ClassVar[str] = (
        "tempo: share within 4 %, exact: within 0.5 %. used: share whose tempo is certain enough. key: the exact one, "
        "relatives are wrong. keyless: share of drums without a key. Loops are rendered, all in four: not to be "
        "compared with published figures."
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of the analysis in both directions, then of pieces.

        Raises:
            UsageError: FluidSynth or a soundfont is missing.
        """
        missing = why_not()
        if missing:
            packages = needs.PACKAGES["fluidsynth"]
            raise UsageError(f"loops are rendered by FluidSynth: {missing}; sudo apt-get install {packages}")
        count = max(6, ask.limit) if ask.limit else LOOPS
        fitted = max(36, 4 * ask.limit) if ask.limit else training.COUNT
        for on, to in (("timgm6mb", "fluidr3"), ("fluidr3", "timgm6mb")):
            systems = _systems(ask, on, fitted)
            drawn = list(corpus.rendered(count, to, _SEED * ask.seed))
            yield from _analysed(drawn, systems, f"{to} ", _DRAWN)
            late = corpus.behind_silence(drawn, _SEED * ask.seed)
            yield from _analysed(late, systems, f"{to} behind silence ", _LATE)
            if not ask.synthetic:
                cut = songs.drawn(ask.data, count // 2, to, _SEED * ask.seed, songs.TEST)
                yield from _analysed(cut, systems, f"{to} of songs ", _CUT)
        if ask.wants("loops"):
            pieces = max(2, ask.limit // 4) if ask.limit else PIECES
            library = max(8, ask.limit) if ask.limit else LIBRARY
            for name, row in measured_pieces(library, pieces, _SEED * ask.seed):
                group = _PIECES if name.startswith("piece") else _COST
                for measure, value in row.items():
                    yield MetricValue("loops", measure, name, value, group)


def _systems(ask: EvaluationRequest, soundfont: str, fitted: int) -> Mapping[str, Guesser]:
    """The requested systems by name, ours fitted on `fitted` loops of a soundfont and further ones cut from songs."""
    systems: dict[str, Guesser] = {"nearest to 110 bpm": trivial}
    if find_spec("librosa") is None:
        ask.say(f"librosa's systems are left out: it is not installed; {extras.how('librosa')}")
    else:
        systems |= PEERS
    if ask.wants("loops"):
        data = None if ask.synthetic else ask.data
        systems["loops"] = ours(
            training.fit(
                list(training.items(training.loops(soundfont, fitted, data, min(fitted // 2, training.SONGS))))
            )
        )
    return {name: system for name, system in systems.items() if ask.wants(name)}


def _analysed(loops: Iterable[Known], systems: Mapping[str, Guesser], prefix: str, group: str) -> Iterator[MetricValue]:
    for n, known in enumerate(loops):
        for name, system in systems.items():
            for measure, mark in marks(known, system(known)).items():
                yield MetricValue(name, measure, f"{prefix}{known.kind} {n}", mark, group)
