"""`antiphon evaluate score`: measures the player's position in a score, beat by beat.

With a folder: performances, `NAME.mid` or recordings, with `NAME_annotations.txt` and the score's `midi_score.mid` (or
`xml_score.musicxml`) with `midi_score_annotations.txt` beside them, as in ASAP: lines of seconds, seconds, and a label
of each beat. Without one: chorales, played by seed with rubato, spread chords, wrong, missing and added notes.
"""

import glob
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import READ_SUFFIXES, MidiNote, MidiTimes, MidiTrack, read_midi
from antiphon.api.backends.models import StreamedChords
from antiphon_follow.concert import Accompanist
from antiphon_follow.evidence import RATE as SOUND_RATE
from antiphon_follow.score import FollowedScore, OrchestraNote, OrchestraPart, performance, read_followed
from antiphon_follow.score_follower import ScoreFollower
from antiphon_follow.sound_notes import SoundNotes
from antiphon_models.follow.songs import sound_of
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.material.part_songs import tie_notes
from antiphon_models.material.sounds import chorales as written_chorales, mono

F64 = NDArray[np.float64]
SECONDS = 100.0
"""Measured seconds of a performance."""
RATE, BLOCK, EVERY = 48000, 256, 0.025
CHORALES = 24
ANNOTATIONS, SCORE, WRITTEN = "_annotations.txt", "midi_score", ".musicxml"
RECORDED = "recordings"
_SWELL, _SPREAD, _SHARE = 0.2, 0.03, 0.05


class Played(NamedTuple):
    """A performance. `notes`: (seconds, number, velocity). `beats`: beats in quarters, and `times`: in seconds.

    `sound`: mono at the follower's rate, for a recording without notes.
    """

    name: str
    score: FollowedScore
    notes: list[tuple[float, int, float]]
    beats: F64
    times: F64
    sound: NDArray[np.float32] | None = None


def performances(folder: Path) -> tuple[Path, ...]:
    """Performances in a folder and its subfolders whose annotations are beside them."""
    return tuple(
        sorted(
            path
            for beside in folder.rglob(f"*{ANNOTATIONS}")
            for path in beside.parent.glob(f"{glob.escape(beside.name.removesuffix(ANNOTATIONS))}.*")
            if path.suffix.lower() in (".mid", *READ_SUFFIXES)
            and path.stem != SCORE
            and (path.parent / f"{SCORE}{ANNOTATIONS}").is_file()
        )
    )


def read_played(path: Path, suffix: str = ".mid") -> Played:
    """Reads a performance. `suffix`: of the score. Raises UsageError: its beats are missing or not the score's."""
    folder = path.parent
    song = read_midi(folder / f"{SCORE}.mid")
    score = read_followed(folder / (f"{SCORE}.mid" if suffix == ".mid" else f"xml_score{suffix}"))
    clock = MidiTimes(song.tempo)
    quarters = np.array([clock.beat(at) for at, _ in _beats(folder / f"{SCORE}{ANNOTATIONS}")])
    rows = _beats(path.with_name(path.stem + ANNOTATIONS))
    if len(rows) != len(quarters):
        raise UsageError(f"{path.name} has {len(rows)} beats and its score {len(quarters)}")
    sure = np.array([label.split(",")[0] != "bR" for _, label in rows], bool)
    times, sounds = np.array([at for at, _ in rows]), path.suffix.lower() != ".mid"
    notes = [] if sounds else performance(path)
    sound = np.asarray(mono(path, SOUND_RATE)[: round((SECONDS + 1.0) * SOUND_RATE)], np.float32) if sounds else None
    if not (notes or sounds) or not (times[sure] <= SECONDS).any():
        raise UsageError(f"{path.name} has no notes, or no beats in its first {SECONDS:g} s")
    return Played(f"{folder.name}/{path.stem}", score, notes, quarters[sure], times[sure], sound)


def _beats(path: Path) -> list[tuple[float, str]]:
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [(float(row[0]), row[2] if len(row) > 2 else "") for row in rows]


def follow_notes(played: Played, seconds: float = SECONDS) -> tuple[F64, F64]:
    """Times and quarters as the follower knows them then: at each note, and each 25 ms between."""
    follower = ScoreFollower(played.score)
    rows: list[tuple[float, float]] = []
    for at, number, velocity in played.notes:
        if at > seconds + 1.0:
            break
        before = rows[-1][0] if rows else at
        for between in np.arange(before + EVERY, at - 1e-4, EVERY).tolist():
            rows.append((between, follower.position_at(between).quarter))
        follower.note(at, number, velocity)
        if rows and rows[-1][0] >= at:
            rows.pop()
        rows.append((at, follower.position_at(at).quarter))
    return np.array([at for at, _ in rows]), np.array([quarter for _, quarter in rows])


def follow_sound(played: Played) -> tuple[F64, F64]:
    """The same from the performance's sound, hop by hop, after an initial wait; notes are rendered by FluidR3."""
    follower, ears, sound = ScoreFollower(played.score), SoundNotes(), played.sound
    if sound is None:
        rows_of = (note for note in played.notes if note[0] < SECONDS)
        notes = tuple(MidiNote(2.0 * at, 0.5, number, velocity) for at, number, velocity in rows_of)
        sound = sound_of([MidiTrack("piano", notes)])
    rows = list[tuple[float, float]]()
    hop = StreamedChords.hop
    for first in range(0, len(sound) - hop, hop):
        now = (first + hop) / SOUND_RATE
        for note in ears.feed(sound[first : first + hop]):
            follower.hear(note.at, note.number, note.sure)
        rows.append((now, follower.position_at(now).quarter))
    return np.array([at for at, _ in rows]), np.array([quarter for _, quarter in rows])


def figures(played: Played, times: F64, quarters: F64, seconds: float = SECONDS) -> dict[str, float]:
    """Shares of the beats within 100 ms, within 200 ms, and off by more than a second."""
    wanted = played.times <= seconds
    said = np.interp(played.times[wanted], times, quarters)
    off = np.abs(np.interp(said, played.beats, played.times) - played.times[wanted])
    return {
        "within 100 ms": float(np.mean(off < 0.1)),
        "within 200 ms": float(np.mean(off < 0.2)),
        "lost": float(np.mean(off > 1.0)),
    }


def score_tempo_baseline(played: Played) -> tuple[F64, F64]:
    """Baseline without following: the score at its own tempo from the first note."""
    clock = MidiTimes(played.score.tempo)
    first = played.notes[0][0] - clock.seconds(float(played.beats[0]))
    times = np.arange(0.0, SECONDS + 1.0, EVERY)
    return times, np.array([clock.beat(max(0.0, at - first)) for at in times])


def accompaniment(played: Played, seconds: float = SECONDS) -> F64:
    """Delay in seconds of the other parts' notes after the first part's note on the same beat, as it was played.

    The input is the notes of the performance nearest to a note of the first part, or to none.
    """
    score, solo = played.score, list[tuple[float, int, float]]()
    places: dict[int, list[tuple[float, int]]] = {}
    for part, one in enumerate(score.parts):
        for row in one.notes:
            places.setdefault(row.number, []).append((row.start, part))
    together: dict[float, float] = {}
    for at, number, velocity in played.notes:
        quarter = float(np.interp(at, played.times, played.beats))
        start, part = min(places.get(number, [(np.inf, 0)]), key=lambda place: abs(place[0] - quarter))
        near = abs(start - quarter) < 0.5
        if at <= seconds and (part == 0 or not near):
            solo.append((at, number, velocity))
            if near:
                together.setdefault(round(start, 2), at)
    follower = ScoreFollower(score, (0,))
    band = Accompanist(score, follower, range(1, len(score.parts)), RATE)
    begun: dict[int, list[float]] = {}
    waiting = iter([*solo, (np.inf, 0, 0.0)])
    note = next(waiting)
    for begin in range(0, int((min(seconds, solo[-1][0]) + 1.0) * RATE), BLOCK) if solo else ():
        offset = 0
        while note[0] * RATE < begin + BLOCK:
            frame = max(offset, int(note[0] * RATE) - begin)
            for event in band.advance((begin + offset) / RATE, frame - offset, offset):
                if event.on:
                    begun.setdefault(event.number, []).append((begin + event.frame) / RATE)
            follower.note(*note)
            offset, note = frame, next(waiting)
        for event in band.advance((begin + offset) / RATE, BLOCK - offset, offset):
            if event.on:
                begun.setdefault(event.number, []).append((begin + event.frame) / RATE)
    beats = {round(float(quarter), 2) for quarter in played.beats}
    late = []
    for one in score.parts[1:]:
        for row in one.notes:
            played_at = together.get(round(row.start, 2))
            if played_at is not None and round(row.start, 2) in beats:
                near_by = [other - played_at for other in begun.get(row.number, ()) if abs(other - played_at) < 1.0]
                late += [min(near_by, key=abs)] if near_by else []
    return np.array(late)


def chorales(data: Path, count: int, seed: int) -> Iterator[Played]:
    """Yields performances generated from chorales of the test part."""
    for number, song in enumerate(written_chorales(data)["test"][:count]):
        yield make_performance(_chorale(song), f"chorale {number}", np.random.default_rng([seed, number]))


def _chorale(steps: list[list[int]]) -> FollowedScore:
    parts = []
    for voice, name in enumerate(("Soprano", "Alto", "Tenor", "Bass")):
        tied = tie_notes([int(row[voice]) if voice < len(row) else -1 for row in steps])
        notes = tuple(OrchestraNote(note.start, note.end - note.start, note.pitch) for note in tied)
        parts.append(OrchestraPart(name, notes))
    length = len(steps) / 4
    bars = tuple(float(at) for at in np.arange(0.0, length, 4.0))
    names = tuple(str(n) for n in range(1, len(bars) + 1))
    return FollowedScore(tuple(parts), ((0.0, 90.0),), bars, (4.0,) * len(bars), names, length)


def make_performance(score: FollowedScore, name: str, rng: np.random.Generator) -> Played:
    """A random performance: rubato of 20 %, chords spread by 30 ms, 5 % each of wrong, missing and added notes."""
    grid = np.arange(0.0, score.length + 0.02, 0.01)
    pace = 60.0 / score.tempo[0][1] * rng.uniform(0.8, 1.25)
    swell = 1.0 + _SWELL * np.sin(grid / rng.uniform(2.0, 5.0) + rng.uniform(0.0, 6.0))
    clock = 1.0 + np.concatenate(([0.0], np.cumsum(0.01 * pace * swell[:-1])))
    notes: list[tuple[float, int, float]] = []
    for start, number in sorted((note.start, note.number) for part in score.parts for note in part.notes):
        at = float(np.interp(start, grid, clock)) + float(rng.uniform(0.0, _SPREAD))
        drawn = float(rng.random())
        if drawn < _SHARE:
            continue
        notes.append((at, number + (int(rng.choice((-2, -1, 1, 2))) if drawn < 2.0 * _SHARE else 0), 0.7))
        if drawn > 1.0 - _SHARE:
            notes.append((at + float(rng.uniform(0.05, 0.2)), int(rng.integers(48, 80)), 0.5))
    beats = np.arange(0.0, score.length, 1.0)
    return Played(name, score, sorted(notes), beats, np.interp(beats, grid, clock) + _SPREAD / 2)


class ScoreFollowing(Evaluation):
    """Measures the live position in the score at each beat, and the accompaniment beside the player."""

    trivial = "score's tempo"
    ours = "follow; follow, MusicXML; follow, sound"
    on_files_alone = ("follow, MusicXML",)
    columns = "within 100 ms; within 200 ms; lost ↓; accompaniment p50 [ms] ↓; accompaniment p90 [ms] ↓"
    note = (
        "place at each annotated beat of the first 100 s; lost: over a second off; accompaniment: the other parts' "
        "onsets beside the first part's notes of the same beat, magnitudes, for scores of two parts and more."
    )
    files_doc = (
        "performances with beats and scores beside them as in ASAP: NAME.mid or a recording, NAME_annotations.txt, "
        "midi_score.*"
    )
    folders = ("jsb",)
    road = "ScoreFollower and Accompanist, fed with the notes of a MIDI file, or those heard in its sound by FluidR3"

    def files_in(self, data: Path, say: Callable[[str], None] = print) -> tuple[Path, ...]:
        return performances(data)

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        for played, written in self._items(ask):
            ask.say(played.name)
            if played.sound is not None:
                if ask.wants("follow, sound"):
                    yield from metric_values(
                        "follow, sound", played.name, figures(played, *follow_sound(played)), RECORDED
                    )
                continue
            if ask.wants("score's tempo"):
                yield from metric_values("score's tempo", played.name, figures(played, *score_tempo_baseline(played)))
            if ask.wants("follow"):
                found = figures(played, *follow_notes(played))
                late = 1000.0 * np.abs(accompaniment(played)) if len(played.score.parts) > 1 else np.zeros(0)
                if len(late):
                    found["accompaniment p50"] = float(np.median(late))
                    found["accompaniment p90"] = float(np.quantile(late, 0.9))
                yield from metric_values("follow", played.name, found)
            if written is not None and ask.wants("follow, MusicXML"):
                yield from metric_values("follow, MusicXML", written.name, figures(written, *follow_notes(written)))
            if ask.wants("follow, sound"):
                yield from metric_values("follow, sound", played.name, figures(played, *follow_sound(played)))

    def _items(self, ask: EvaluationRequest) -> Iterator[tuple[Played, Played | None]]:
        """Yields performances with their scores in MIDI, and again in MusicXML where it exists."""
        if not ask.files:
            yield from ((one, None) for one in chorales(ask.data, ask.limit or CHORALES, ask.seed))
        for path in ask.files[: ask.limit]:
            try:
                two = path.suffix.lower() == ".mid" and (path.parent / f"xml_score{WRITTEN}").is_file()
                written = read_played(path, WRITTEN) if two else None
                yield read_played(path), written
            except UsageError as error:
                ask.say(f"{path.name} is left out: {error}")
