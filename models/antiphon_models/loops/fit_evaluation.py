"""`antiphon evaluate fits`: ranks the other part of the same four bars among 50 loops and its foils.

Parts of the same bars fit together; a foil changes one property of a part: pitch, bar position or tempo.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon.api.backends.files import make_folder
from antiphon_loops.analysis.spectrum import RATE as ANALYSED_RATE
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.learning.user_commands import command
from antiphon_models.loops.corpus import (
    BASSES,
    CHORDS,
    EVALUATION_FONTS,
    KITS,
    MELODIES,
    RATE,
    LoopScore,
    PatternNote,
    check_fonts,
    render_together,
)
from antiphon_models.material.part_songs import PartNote, PartSong, songs

BARS, SPLIT = 4, 50
"""Bars of a loop; MIDI number below which a piano's notes are its bass."""
MIN_COUNT = 5
"""Minimum notes of a part."""
QUICKER = 1.08
FOILS = ("a semitone up", "half a beat late", "8 % quicker")
_PROGRAMS = {"drums": KITS, "bass": BASSES, "chords": CHORDS, "pad": (48, 49, 50, 51, 88, 89, 90, 95)}
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class FitLoop:
    """A part of four bars.

    `place`: its window; parts of one window fit together. `part`: one of `part_songs.PARTS`. `foil`: one of `FOILS`; ""
    for the part itself.
    """

    song: str
    place: int
    part: str
    score: LoopScore
    foil: str = ""

    @property
    def name(self) -> tuple[int, str, str]:
        """Key that is unique within one set of windows."""
        return self.place, self.part, self.foil


def windows(
    data: Path, split: str, limits: dict[str, int], count: int, rng: np.random.Generator
) -> Iterator[list[FitLoop]]:
    """Yields the parts of up to `count` windows of each song, each with at least two parts.

    `limits`: songs by source. `rng`: draws windows, missing tempos, and instruments.
    """
    place = 0
    for source, limit in limits.items():
        for song in songs(data, split, (source,), limit):
            if song.meter != 4:
                continue
            # chorales are all written at one tempo, which would tell two songs of them nothing apart
            bpm = float(rng.uniform(66.0, 116.0)) if source == "jsb" else song.tempo
            parts = _parts(song)
            end = max(note.end for notes in parts.values() for note in notes)
            starts = np.arange(song.first, end - 4 * BARS, 4 * BARS)
            found = 0
            for start in rng.permutation(starts):
                loops = [
                    FitLoop(song.name, place, part, _score(cut, part, bpm, _name_of(song.key), rng))
                    for part, notes in parts.items()
                    if len(cut := _cut(notes, float(start))) >= MIN_COUNT
                ]
                if len(loops) > 1:
                    yield loops
                    place, found = place + 1, found + 1
                if found == count:
                    break


def foil(loop: FitLoop, kind: str) -> FitLoop:
    """Makes a foil: the part's notes rotated within the four bars, transposed or sped up."""
    score = loop.score
    if kind == FOILS[0]:
        score = replace(score, notes=[replace(n, pitch=n.pitch + 1) for n in score.notes])
    elif kind == FOILS[1]:
        score = replace(score, notes=[replace(n, start=(n.start + 0.5) % (4 * BARS)) for n in score.notes])
    else:
        score = replace(score, bpm=score.bpm * QUICKER)
    return replace(loop, score=score, foil=kind)


def sounds_of(
    loops: Sequence[FitLoop], soundfont: str, rng: np.random.Generator, rate: int = RATE
) -> Iterator[NDArray[np.float32]]:
    """Renders each loop, float32 `[frames]`, exactly four bars long."""
    for first in range(0, len(loops), _CHUNK):
        for known in render_together([x.score for x in loops[first : first + _CHUNK]], soundfont, rng, rate):
            yield known.samples.mean(axis=0)


def _parts(song: PartSong) -> dict[str, list[PartNote]]:
    """Parts of a song; a piano without a bass part is split into bass and chords."""
    parts = dict(song.parts)
    if "bass" not in parts and "chords" in parts:
        whole = parts["chords"]
        parts |= {"chords": [n for n in whole if n.pitch >= SPLIT], "bass": [n for n in whole if n.pitch < SPLIT]}
    return {part: notes for part, notes in parts.items() if notes}


def _cut(notes: Sequence[PartNote], start: float) -> list[PartNote]:
    end = start + 4 * BARS
    return [
        n._replace(start=max(0.0, n.start - start), end=min(n.end, end) - start)
        for n in notes
        if start - 0.1 <= n.start < end - 0.1
    ]


def _name_of(key: int) -> str:
    """Name of a key 0 to 23."""
    return f"{SHARP_NAMES[key % 12]} {'minor' if key > 11 else 'major'}"


def _score(notes: Sequence[PartNote], part: str, bpm: float, key: str, rng: np.random.Generator) -> LoopScore:
    program = int(rng.choice(_PROGRAMS.get(part, MELODIES)))
    kind = part if part in ("drums", "bass", "melody") else "chords"
    played = [
        PatternNote(n.start, max(0.05, n.end - n.start), n.pitch, max(30, round(127 * n.velocity))) for n in notes
    ]
    return LoopScore(bpm, BARS, key, kind, program, played)


SONGS = {"pop909": 40, "jsb": 8, "freedoom": 0, "openttd-openmsx": 0}
AMONG, NEAR = 50, 0.04
"""Number of candidate loops; relative difference within which tempos count as equal."""
_SEED, _MIN_COUNT = 57, 24
"""Seed, and the minimum number of windows that is sure to contain 50 loops."""
_TRIVIAL = "true key and tempo"


@dataclass(frozen=True, slots=True)
class _Item:
    """A loop with its truth and its sound file."""

    loop: FitLoop
    file: Path


class FitsEvaluation(Evaluation):
    """Measures song parts and soundfonts outside the training."""

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
        """Yields the scores of each window's pair. Raises `UsageError`: FluidSynth or a soundfont is missing."""
        check_fonts()
        rng = np.random.default_rng(_SEED * ask.seed)
        drawn = list(windows(ask.data, "test", SONGS, 1, rng))
        most = max(_MIN_COUNT, ask.limit) if ask.limit else len(drawn)
        drawn = [drawn[n] for n in rng.permutation(len(drawn))[:most]]
        pairs = [rng.permutation(len(loops))[:2].tolist() for loops in drawn]
        folder = make_folder(ask.work / f"loops-{ask.seed}-{most}")
        items = _items(drawn, pairs, folder, rng)
        roads = {name: _AnalysedCatalogue(ask.work / name, folder, only) for name, only in ask.select(_ROADS).items()}
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
                yield from metric_values(name, query.file.stem, _row(partner, among, broken, found))


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


class _AnalysedCatalogue:
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
    """Renders all parts and the partners' foils, each window with one of the soundfonts."""
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
            for file, sound in zip(files, sounds_of(loops, font, rng, ANALYSED_RATE), strict=True):
                soundfile.write(file, 0.5 * sound / max(1e-6, float(np.abs(sound).max())), ANALYSED_RATE)
        for loop, file in zip(loops, files, strict=True):
            items[loop.name] = _Item(loop, file)
    return items
