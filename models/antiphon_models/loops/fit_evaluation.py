"""`antiphon evaluate fits`: the other part of the same four bars is to be found among 50 loops and beside its foils."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api.backends.files import make_folder
from antiphon_loops.analysis.spectrum import RATE
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command
from antiphon_models.loops.corpus import EVALUATION_FONTS, check_fonts
from antiphon_models.loops.fit_material import FOILS, FitLoop, foil, sounds_of, windows

SONGS = {"pop909": 40, "jsb": 8, "freedoom": 0, "openttd-openmsx": 0}
AMONG, NEAR = 50, 0.04
"""Number of candidate loops; ratio of tempos that count as equal."""
_SEED, _MIN_COUNT = 57, 24
"""Number of windows that surely contain 50 loops."""
_TRIVIAL = "true key and tempo"


@dataclass(frozen=True, slots=True)
class _Item:
    """Loop with its truth, and the file of its sound."""

    loop: FitLoop
    file: Path


class FitsEvaluation(Evaluation):
    """Evaluation on song parts and soundfonts outside the training."""

    folders = ("pop909",)
    road = "`antiphon library fits FILE --json`; `fits by rule` in a catalogue without the analysis `fit`"
    trivial = _TRIVIAL
    classical = "fits by rule"
    ours = "fits"
    columns = "first of 50; first five; semitone; half a beat; 8 % quicker"
    note = (
        "first of 50, first five: where the true partner is among loops of other songs. The others: share of the pairs "
        "where the partner scores higher than its broken copy, .5 for a tie. The trivial one has the true tempo, ours "
        "finds it. Renders: not to be compared with published figures."
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Scores of each window's pair. Raises `UsageError`: FluidSynth or a soundfont is missing."""
        check_fonts()
        rng = np.random.default_rng(_SEED * ask.seed)
        drawn = list(windows(ask.data, "test", SONGS, 1, rng))
        most = max(_MIN_COUNT, ask.limit) if ask.limit else len(drawn)
        drawn = [drawn[n] for n in rng.permutation(len(drawn))[:most]]
        pairs = [rng.permutation(len(loops))[:2].tolist() for loops in drawn]
        folder = make_folder(ask.work / f"loops-{ask.seed}-{most}")
        items = _items(drawn, pairs, folder, rng)
        roads = {name: _Road(ask.work / name, folder, only) for name, only in ask.wanted(_ROADS).items()}
        for n, (loops, (one, other)) in enumerate(zip(drawn, pairs, strict=True)):
            if ask.limit is not None and n >= ask.limit:
                break
            query, partner = items[loops[one].name], items[loops[other].name]
            others = [x for x in items.values() if x.loop.song != query.loop.song and not x.loop.foil]
            among = [others[k] for k in rng.permutation(len(others))[: AMONG - 1]]
            broken = {kind: items[foil(partner.loop, kind).name] for kind in FOILS}
            if "drums" in (query.loop.part, partner.loop.part):
                broken.pop(FOILS[0])  # drums have no key to be wrong in
            values: dict[str, Mapping[Path, float]] = {name: road.fits(query.file) for name, road in roads.items()}
            if ask.wants(_TRIVIAL):
                values[_TRIVIAL] = {x.file: _key_and_tempo(query, x) for x in (partner, *among, *broken.values())}
            for name, found in values.items():
                yield from scored(name, query.file.stem, _row(partner, among, broken, found))


def _row(
    partner: _Item, among: Sequence[_Item], broken: Mapping[str, _Item], scores: Mapping[Path, float]
) -> Iterator[tuple[str, float]]:
    # what is taken for no loop has no score
    right, *beside = (scores.get(item.file, -1.0) for item in (partner, *among))
    others = np.array(beside)
    # of equals each may be the first
    better, equal = int((others > right).sum()), int((others == right).sum())
    for name, count in (("first of 50", 1), ("first five", 5)):
        yield name, min(1.0, max(0, count - better) / (1 + equal))
    for kind, measure in zip(FOILS, ("semitone", "half a beat", "8 % quicker"), strict=True):
        if kind in broken:
            wrong = scores.get(broken[kind].file, -1.0)
            yield measure, 0.5 if right == wrong else float(right > wrong)


def _key_and_tempo(one: _Item, other: _Item) -> float:
    keys = one.loop.score.key == other.loop.score.key or "drums" in (one.loop.part, other.loop.part)
    octaves = abs(float(np.log2(one.loop.score.bpm / other.loop.score.bpm)))
    return float(keys) + float(abs(octaves - round(octaves)) <= np.log2(1.0 + NEAR))


_ROADS = {"fits by rule": ("loop",), "fits": ("loop", "fit")}


class _Road:
    """Catalogue with the analysed loops."""

    def __init__(self, root: Path, folder: Path, only: Sequence[str]) -> None:
        self._root = make_folder(root)
        words = (word for name in only for word in ("--only", name))
        command("library", "--root", self._root, "analyse", folder, *words)

    def fits(self, file: Path) -> dict[Path, float]:
        answer = json.loads(command("library", "--root", self._root, "fits", file, "-n", "100000", "--json"))
        return {Path(row["path"]): row["score"] for row in answer["matches"]}


def _items(
    drawn: Sequence[Sequence[FitLoop]], pairs: Sequence[Sequence[int]], folder: Path, rng: np.random.Generator
) -> dict[tuple[int, str, str], _Item]:
    """All parts and the partners' foils, each window with one of the soundfonts."""
    import soundfile

    fonts, items = list(EVALUATION_FONTS), {}
    for font_number, font in enumerate(fonts):
        loops = [loop for window in drawn[font_number :: len(fonts)] for loop in window]
        loops += [
            foil(window[pair[1]], kind)
            for window, pair in zip(drawn[font_number :: len(fonts)], pairs[font_number :: len(fonts)], strict=True)
            for kind in FOILS
        ]
        files = [folder / f"{font}-{number:03}.flac" for number in range(len(loops))]
        if not all(file.is_file() for file in files):
            for file, sound in zip(files, sounds_of(loops, font, rng, RATE), strict=True):
                soundfile.write(file, 0.5 * sound / max(1e-6, float(np.abs(sound).max())), RATE)
        for loop, file in zip(loops, files, strict=True):
            items[loop.name] = _Item(loop, file)
    return items
