"""`antiphon evaluate accompany`: chords and piano beside baselines and the songs' own pianist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from antiphon_accompany.files import Section, accompany_file
from antiphon_accompany.notes import BeatNote
from antiphon_accompany.styles import STYLES
from antiphon_models.accompany import baselines, synthetic
from antiphon_models.accompany.measures import agreement, chords_of, clash, texture, unlike
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System

EACH_STYLE = 24
"""Songs, at most, on which every style is measured."""
_OURS: Mapping[str, Mapping[str, Any]] = {"live": {"lookahead": 0}, "file": {}}
_STYLES = {f"style={style}": {"style": style} for style in STYLES if style != "auto"}


class Accompanying(Evaluation):
    """POP909's songs whose numbers end in 8 and 9: melody in, bars as annotated."""

    systems: ClassVar[tuple[System, ...]] = (
        System("held tonic", "trivial"),
        System("untuned harmoniser", "classical"),
        *(System(name, "ours") for name in (*_OURS, *_STYLES)),
        System("pianist", "oracle"),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("chords"),
        Measure("played"),
        Measure("clash", "", "lower"),
        Measure("density", "", "lower"),
        Measure("polyphony", "", "lower"),
        Measure("height", "octaves", "lower"),
        Measure("spread", "octaves", "lower"),
        Measure("variety", "", "lower"),
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. The rest: difference from the song's piano."
    )
    folders: ClassVar[tuple[str, ...]] = ("pop909",)
    synthetic_doc: ClassVar[str] = "songs drawn by seed: a chord a bar, and melodies of its tones"
    card: ClassVar[str] = "antiphon_accompany"
    road: ClassVar[str] = (
        "the processor on the clock of the annotated bars, as `antiphon run accompany` plays it; the "
        "file itself is not read"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems on all songs, then of each style on some of them."""
        if ask.synthetic:
            material = list(synthetic.songs(ask.seed, ask.limit or synthetic.COUNT))
        else:
            material = list(songs(ask.data / "pop909", TEST, ask.limit or 0))
        for song in material:
            yield from _values(song, ask, _OURS, "", pianist=not ask.synthetic)
        some = material[:: max(1, len(material) // EACH_STYLE)][:EACH_STYLE]
        for song in some:
            yield from _values(song, ask, {"file": {}, **_STYLES}, f"each style, {len(some)} of the songs",
                               pianist=not ask.synthetic)  # fmt: skip


def play(song: AnnotatedSong, **settings: Any) -> tuple[list[BeatNote], list[int]]:
    """The accompaniment of a song's melody, its bars as annotated.

    Args:
        song: The song.
        settings: Parameters of the node.

    Returns:
        The notes, and each beat's chord (-1: none).
    """
    reports: list[tuple[float, int]] = []
    start = song.first - song.meter * -(-song.first // song.meter)
    count = len(song.beats)
    notes = accompany_file(song.melody, settings, song.tempo, [Section(start, song.meter)], count, reports)
    chords = dict(reports)
    return notes, [chords.get(float(beat), -1) for beat in range(count)]


def _values(
    song: AnnotatedSong, ask: EvaluationRequest, ours: Mapping[str, Mapping[str, Any]], group: str, *, pianist: bool
) -> Iterator[MetricValue]:
    """Figures on one song. pianist: its piano track is a pianist's, and textures are compared with it."""
    for name, row in _rows(song, ask, ours, baselines_too=not group, pianist=pianist):
        for measure, value in row.items():
            yield MetricValue(name, measure, song.name, value, group)


def _rows(
    song: AnnotatedSong,
    ask: EvaluationRequest,
    ours: Mapping[str, Mapping[str, Any]],
    *,
    baselines_too: bool,
    pianist: bool,
) -> Iterator[tuple[str, dict[str, float]]]:
    count = len(song.beats)
    if baselines_too and ask.wants("held tonic"):
        yield "held tonic", {"chords": agreement(song, baselines.tonic(song.melody, count))}
    if baselines_too and ask.wants("untuned harmoniser"):
        chords = baselines.harmoniser(song.melody, count, song.first, song.meter)
        yield "untuned harmoniser", {"chords": agreement(song, chords)}
    for name, settings in ours.items():
        if not ask.wants(name):
            continue
        notes, chords = play(song, **settings)
        row = {"chords": agreement(song, chords), "played": agreement(song, chords_of(notes, count))}
        row["clash"] = clash(song.melody, notes)
        if pianist:
            human = texture(song.piano, song.first, song.meter)
            row |= unlike(texture(notes, song.first, song.meter), human)
        yield name, row
    if baselines_too and ask.wants("pianist"):
        yield (
            "pianist",
            {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)},
        )
