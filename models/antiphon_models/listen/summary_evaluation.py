"""`antiphon evaluate summary`: phrases, and summaries of 30 s, of songs rendered to MP3, against two listeners."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.files import stream_sound
from antiphon_listen import bars, beats, tables
from antiphon_listen.beats import BeatGrid
from antiphon_listen.chroma import FRAMES_PER_SECOND
from antiphon_listen.music import MusicRun, SongAnalysis
from antiphon_listen.sections import Structure, find_structure
from antiphon_listen.signals import MusicCurves
from antiphon_listen.summary import summary
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command
from antiphon_models.listen.songs import RATE, SOUNDFONTS, TEST, render_song
from antiphon_models.listen.structure import LabelledPhrase, LabelledSong, read_labels
from antiphon_models.material.sounds import kept, resampled, songs

OURS = "listen"
SONGS = 64
"""Songs that are measured unless `--limit` says otherwise, the soundfonts in turn."""
SECONDS = 30.0
FILE_RATE = 44100
"""Hz of the files: a rate that the analysis does not work at, as that of most songs."""
_HEARD = 1.0
"""Seconds of a letter from which a summary has it."""
_STARTS = 3.0
"""Seconds within which a summary starts on a phrase."""
_PLACE = 0.001
"""Seconds by which a place of a summary may be off: a report rounds it to a tenth of this."""
Span = tuple[float, float]
Labels = Sequence[LabelledPhrase]


@dataclass(frozen=True, slots=True)
class SummaryFound:
    """What a system gives; None of what it does not look for.

    Attributes:
        boundaries: Seconds at which phrases begin.
        parts: What a summary plays, in seconds of the song.
        named: What the report calls the song's parts: seconds from and to, and a name.
        as_reported: Share of the summary's seconds in which OUT holds the samples that IN has at the reported places.
    """

    boundaries: F64 | None = None
    parts: tuple[Span, ...] | None = None
    named: tuple[tuple[float, float, str], ...] | None = None
    as_reported: float | None = None


class Summarising(Evaluation):
    """POP909's songs whose numbers end in 8 and 9, which nothing was fitted on, as MP3, against both listeners."""

    trivial = "first 30 s; middle; loudest"
    classical = "most repeated; novelty"
    ours = "listen"
    oracle = "listen, true beats; second listener"
    columns = (
        "F .5 s; F 3 s; chorus; in chorus; letters; starts; starts .5 s; as reported; "
        "chorus named; verse named; bridge named"
    )
    note = (
        "F: mir_eval's, phrase boundaries within 0.5 and 3 s. chorus: the share of a chorus (at most 30 s of it) "
        "that is played; in chorus: of the summary. letters: that are played for 1 s or more, without i, o and x. "
        "starts: within 3 s of a phrase's beginning. "
        "as reported: the share of OUT that is IN at the reported places. Means over both listeners; renders of one "
        "piano are not records."
    )
    folders = ("pop909",)
    card = "antiphon_listen"
    road = (
        "`antiphon run summary IN OUT -p seconds=30 --report FILE` on MP3 files at 44.1 kHz; boundaries "
        "are the analysis' own"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems, song by song."""
        for n, folder in enumerate(songs(ask.data, TEST, ask.limit or SONGS)):
            labels = read_labels(folder)
            if labels is None:
                continue
            path = encode_mp3(folder, ask.work, list(SOUNDFONTS)[n % 2])
            found = song_analysis(path)
            systems = {name: partial(run, found, labels) for name, run in _SYSTEMS.items()}
            for name, run in ask.wanted({**systems, OURS: partial(by_command, found, path)}).items():
                yield from scored(name, labels.name, figures(labels, run()))
            if ask.wants("second listener"):
                yield from _second(labels)


def encode_mp3(folder: Path, work: Path, soundfont: str) -> Path:
    """A song's render as an MP3 file in `work`, made if it is not there."""
    path = work / f"{folder.name}-{soundfont}-{FILE_RATE}.mp3"
    return kept(path, FILE_RATE, lambda: resampled(render_song(folder, work, soundfont), RATE, FILE_RATE), "MP3")


def song_analysis(path: Path) -> SongAnalysis:
    """What is found in a song, for the systems that are not ours."""
    run = MusicRun()
    with stream_sound(path, rate=RATE) as (_, blocks):
        for block in blocks:
            run.feed(block)
    return run.analysed()


def by_command(found: SongAnalysis, path: Path) -> SummaryFound:
    """The summary that `antiphon run summary` writes, its places by `--report`; boundaries are the analysis' own."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        out, report = Path(folder) / "out.wav", Path(folder) / "report.json"
        command("run", "summary", path, out, "-p", f"seconds={SECONDS:g}", "--report", report)
        said = json.loads(report.read_text())
        parts = tuple((float(start), float(end)) for start, end, _ in said["parts"])
        named = tuple((float(start), float(end), str(name)) for start, end, name in said["sections"])
        played, rate = soundfile.read(out, dtype="float32")
    sound, own = soundfile.read(path, dtype="float32")
    right = agreement_of_samples(sound, played, parts, rate) if rate == own else 0.0
    return replace(ours(found), parts=parts, named=named, as_reported=right)


def agreement_of_samples(sound: F32, played: F32, parts: Sequence[Span], rate: int) -> float:
    """The share of tenths of a second of `played` that correlate by .95 or more with `sound` at the parts' places.

    Both are float32 `[frames]`; `parts` are seconds of the song, in order.
    """
    expected = np.concatenate([sound[round(start * rate) : round(end * rate)] for start, end in parts])
    size, lag = rate // 10, round(_PLACE * rate)
    right, windows = 0, range(lag, max(len(expected), len(played)) - size - lag, size)
    for first in windows:
        given, around = played[first : first + size], expected[first - lag : first + size + lag]
        if len(given) == size and len(around) == size + 2 * lag:
            best = float(np.correlate(around, given, "valid").max())
            right += best >= 0.95 * float(np.linalg.norm(expected[first : first + size]) * np.linalg.norm(given))
    return right / max(1, len(windows))


def figures(labels: LabelledSong, found: SummaryFound) -> Iterator[tuple[str, float]]:
    """Each measure of what a system looks for, the mean of both listeners."""
    rows: list[dict[str, float]] = [dict(_figures(phrases, found)) for phrases in labels.listeners]
    for measure in rows[0].keys() & rows[1].keys():
        yield measure, (rows[0][measure] + rows[1][measure]) / 2


def _figures(phrases: Labels, found: SummaryFound) -> Iterator[tuple[str, float]]:
    if found.boundaries is not None:
        for name, within in (("F .5 s", 0.5), ("F 3 s", 3.0)):
            yield name, agreement(phrases, found.boundaries, within)
    if found.parts is not None:
        chorus = chorus_of(phrases)
        own = [phrase for phrase in phrases if phrase.letter == chorus]
        if own:
            yield "chorus", max(_played(found.parts, [one]) / min(SECONDS, one.end - one.start) for one in own)
            yield "in chorus", _played(found.parts, own) / sum(end - start for start, end in found.parts)
        letters = {phrase.letter for phrase in phrases if phrase.letter.lower() not in "iox"}
        if letters:
            times = (_played(found.parts, [one for one in phrases if one.letter == letter]) for letter in letters)
            yield "letters", float(np.mean([time >= _HEARD for time in times]))
        starts = np.array([0.0, *(phrase.start for phrase in phrases)])
        away = float(np.abs(starts - found.parts[0][0]).min())
        yield "starts", float(away <= _STARTS)
        yield "starts .5 s", float(away <= 0.5)
    for name, own in names_of(phrases).items() if found.named is not None else ():
        spans = [(start, end) for start, end, called in found.named or () if called == name]
        yield f"{name} named", _played(spans, own) / sum(one.end - one.start for one in own)
    if found.as_reported is not None:
        yield "as reported", found.as_reported


def agreement(phrases: Labels, boundaries: F64, within: float) -> float:
    """F-measure of boundaries, the beginning of the first and the end of the last phrase counted."""
    import mir_eval

    truth = np.array([*(phrase.start for phrase in phrases), phrases[-1].end])
    return float(mir_eval.onset.f_measure(truth, np.unique(boundaries), window=within)[0])


def chorus_of(phrases: Labels) -> str | None:
    """The letter with melody that fills most of a song, other than the first; the first where there is no other."""
    lengths: Counter[str] = Counter()
    for phrase in phrases:
        if phrase.letter.isupper() and phrase.letter != "X":
            lengths[phrase.letter] += round(1000 * (phrase.end - phrase.start))
    first = next(iter(lengths), None)
    return max((letter for letter in lengths if letter != first), key=lambda letter: lengths[letter], default=first)


def names_of(phrases: Labels) -> dict[str, list[LabelledPhrase]]:
    """A listener's phrases by name: the chorus; the verse, the other letter with melody that fills most; the bridge,
    letters with melody that come once, behind the first chorus and before the last. A name without phrases is left out.
    """
    chorus, sung = chorus_of(phrases), [one for one in phrases if one.letter.isupper() and one.letter != "X"]
    filled = Counter[str]()
    for one in sung:
        filled[one.letter] += round(1000 * (one.end - one.start))
    filled.pop(chorus or "", None)
    verse = max(filled, key=lambda letter: filled[letter], default=None)
    places = [n for n, one in enumerate(phrases) if one.letter == chorus]
    once = Counter(one.letter for one in phrases)
    inside = phrases[places[0] : places[-1]] if places else ()
    rows = {
        "chorus": [one for one in phrases if one.letter == chorus],
        "verse": [one for one in phrases if one.letter == verse],
        "bridge": [
            one for one in inside if one in sung and one.letter not in (chorus, verse) and once[one.letter] == 1
        ],
    }
    return {name: own for name, own in rows.items() if own}


def _played(parts: Sequence[Span], phrases: Labels) -> float:
    """Seconds of phrases that parts play."""
    return sum(max(0.0, min(end, one.end) - max(start, one.start)) for start, end in parts for one in phrases)


def _second(labels: LabelledSong) -> Iterator[MetricValue]:
    """One listener against the other."""
    first, other = labels.listeners
    starts = np.array([*(phrase.start for phrase in other), other[-1].end])
    for name, within in (("F .5 s", 0.5), ("F 3 s", 3.0)):
        yield MetricValue("second listener", name, labels.name, agreement(first, starts, within))


def ours(found: SongAnalysis) -> SummaryFound:
    """The shipped structure and summary; where there is no structure, no boundaries and the first 30 s."""
    return _of(found.structure, found)


def _of(structure: Structure | None, found: SongAnalysis) -> SummaryFound:
    if structure is None:
        return SummaryFound(np.zeros(1), _window(found, 0.0))
    starts = np.array([structure.at(phrase.first) for phrase in structure.phrases])
    return SummaryFound(starts, tuple((part.start, part.end) for part in summary(structure, SECONDS)))


def _true_beats(found: SongAnalysis, labels: LabelledSong) -> SummaryFound:
    """Ours on the annotated beats and downbeats, to show what is lost with them."""
    curves = _curves(found)
    grid = BeatGrid(labels.beats, beats.parts_of(curves, labels.beats), (0.0, 0.0))
    odds = bars.bar_odds(curves, grid, tables.load())
    on_bar = np.isin(labels.beats, labels.downbeats)
    odds = np.where(on_bar, np.maximum(odds, 1.0), np.minimum(odds, -3.0))
    structure = find_structure(curves, grid, odds, labels.downbeats, tables.load_phrases())
    return _of(structure, found)


def _curves(found: SongAnalysis) -> MusicCurves:
    assert found.curves is not None, "a render is not silent"
    return found.curves


def _window(found: SongAnalysis, start: float) -> tuple[Span, ...]:
    start = max(0.0, min(start, _curves(found).seconds - SECONDS))
    return ((start, start + SECONDS),)


def _loudest(found: SongAnalysis) -> float:
    level = _curves(found).notes.sum(axis=1)
    total = np.convolve(level, np.ones(round(SECONDS * FRAMES_PER_SECOND)), "valid")
    return float(np.argmax(total)) / FRAMES_PER_SECOND


def _most_repeated(found: SongAnalysis) -> float:
    """The 30 s that most of the song repeats: stripes of a self-similarity of pitch classes, twice a second."""
    notes = np.sqrt(_curves(found).notes[:, 12:].astype(np.float64))
    step = round(FRAMES_PER_SECOND / 2)
    rows = notes[: len(notes) // step * step].reshape(-1, step, 12).mean(axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    similarity = rows @ rows.T
    width = round(SECONDS * FRAMES_PER_SECOND / step)
    stripes = [
        (lag, np.convolve(np.diagonal(similarity, lag), np.ones(width) / width, "valid"))
        for lag in range(width // 3, len(rows) - width)
    ]
    if not stripes:
        return 0.0
    least = float(np.quantile(np.concatenate([row for _, row in stripes]), 0.95))
    total = np.zeros(len(rows))
    for lag, row in stripes:
        over = np.maximum(0.0, row - least)
        total[: len(row)] += over
        total[lag : lag + len(row)] += over
    return float(np.argmax(total)) * step / FRAMES_PER_SECOND


def _novelty(found: SongAnalysis) -> SummaryFound:
    """Peaks of Foote's novelty of pitch classes, twice a second, kernel 16 s, over half a standard deviation."""
    notes = np.sqrt(_curves(found).notes.astype(np.float64))
    step = round(FRAMES_PER_SECOND / 2)
    rows = notes[: len(notes) // step * step].reshape(-1, step, 24).mean(axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    similarity, half = rows @ rows.T, 16
    sign = np.sign(np.arange(-half, half) + 0.5)
    taper = np.exp(-0.5 * ((np.arange(-half, half) + 0.5) / (half / 2)) ** 2)
    kernel = np.outer(sign * taper, sign * taper)
    padded = np.pad(similarity, half)
    curve = np.array([(padded[n : n + 2 * half, n : n + 2 * half] * kernel).sum() for n in range(len(rows))])
    peaks = np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    peaks = peaks[curve[peaks] > curve.mean() + 0.5 * curve.std()]
    return SummaryFound(np.array([0.0, *(peaks * step / FRAMES_PER_SECOND), _curves(found).seconds]))


def _placed(start: Callable[[SongAnalysis], float]) -> Callable[[SongAnalysis, LabelledSong], SummaryFound]:
    return lambda found, labels: SummaryFound(parts=_window(found, start(found)))


_SYSTEMS: Mapping[str, Callable[[SongAnalysis, LabelledSong], SummaryFound]] = {
    "first 30 s": _placed(lambda found: 0.0),
    "middle": _placed(lambda found: _curves(found).seconds / 2 - SECONDS / 2),
    "loudest": _placed(_loudest),
    "most repeated": _placed(_most_repeated),
    "novelty": lambda found, labels: _novelty(found),
    "listen, true beats": _true_beats,
}
