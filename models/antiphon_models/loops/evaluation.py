"""`antiphon evaluate loops`: the analysis on loops of known tempo, bars and key, and pieces made of such loops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec

from antiphon.kernel.runtime import extras
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.loops import corpus, songs
from antiphon_models.loops.corpus import Known
from antiphon_models.loops.midifile import UNSEEN, check_fonts
from antiphon_models.loops.pieces import measured_pieces
from antiphon_models.loops.systems import PEERS, Guesser, guess_by_length, marks, ours

_SEED = 33
"""Times the request's: no multiple of it is a seed that the shipped tables were fitted on (`training.SEEDS`)."""
LOOPS, PIECES, LIBRARY = 84, 20, 60
"""Without a limit: loops of each soundfont (and half as many of songs), pieces, and loops in the library of which
pieces are made.
"""
_DRAWN, _CUT, _PIECES, _COST = "loops drawn at random", "loops cut from songs", "pieces", "cost"
_LATE = "half of the drawn loops, behind a silence of 0.1 to 1.5 s"


class Looping(Evaluation):
    """Loops rendered with soundfonts that nothing was fitted on."""

    folders = ("pop909",)
    synthetic_doc = "loops drawn at random alone, none of them cut from songs"
    card = "antiphon_loops"
    road = (
        "`antiphon library analyse FILE --only loop --json`, pieces by `antiphon run loops FOLDER OUT`; a block's time "
        "is the node's"
    )
    trivial = "nearest to 110 bpm"
    peer = "librosa beats; length-aware; Krumhansl"
    ours = "loops"
    columns = (
        "tempo; exact; bars; used; tempo of used; key; keyless; family; length [ms off] ↓; tempo off [%] ↓; "
        "on 16ths; in one scale; quietest bar [dB]; true peak [dB] ↓; loudness [LUFS]; speed [x]; analysis [x]; "
        "new library [x]; known library [x]; block p50 [µs] ↓; block p99 [µs] ↓"
    )
    note = (
        "tempo: share within 4 %, exact: within 0.5 %. used: share whose tempo is certain enough. key: the exact one, "
        "relatives are wrong. keyless: share of drums without a key. Loops are rendered, all in four: not to be "
        "compared with published figures."
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of the analysis, then of pieces.

        Raises:
            UsageError: FluidSynth or a soundfont is missing.
        """
        check_fonts()
        count = max(6, ask.limit) if ask.limit else LOOPS
        systems = _systems(ask)
        for font in UNSEEN:
            drawn = list(corpus.rendered(count, font, _SEED * ask.seed))
            yield from _analysed(drawn, systems, f"{font} ", _DRAWN)
            late = corpus.behind_silence(drawn, _SEED * ask.seed)
            yield from _analysed(late, systems, f"{font} behind silence ", _LATE)
            if not ask.synthetic:
                cut = songs.drawn(ask.data, count // 2, font, _SEED * ask.seed, songs.TEST)
                yield from _analysed(cut, systems, f"{font} of songs ", _CUT)
        if ask.wants("loops"):
            pieces = max(2, ask.limit // 4) if ask.limit else PIECES
            library = max(8, ask.limit) if ask.limit else LIBRARY
            for name, row in measured_pieces(library, pieces, _SEED * ask.seed):
                group = _PIECES if name.startswith("piece") else _COST
                yield from scored("loops", name, row, group)


def _systems(ask: EvaluationRequest) -> Mapping[str, Guesser]:
    """The requested systems by name."""
    systems: dict[str, Guesser] = {"nearest to 110 bpm": guess_by_length, "loops": ours}
    if find_spec("librosa") is None:
        ask.say(f"librosa's systems are left out: it is not installed; {extras.how('librosa')}")
    else:
        systems |= PEERS
    return ask.wanted(systems)


def _analysed(loops: Iterable[Known], systems: Mapping[str, Guesser], prefix: str, group: str) -> Iterator[MetricValue]:
    for n, known in enumerate(loops):
        for name, system in systems.items():
            yield from scored(name, f"{prefix}{known.kind} {n}", marks(known, system(known)), group)
