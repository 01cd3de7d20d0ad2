"""`antiphon evaluate follow`: measures live beats of recordings, and of POP909's pianists as notes and in sound."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.analysis import import_librosa
from antiphon_follow.clock import ENTRY_BEATS, BeatCounter
from antiphon_follow.evidence import RATE
from antiphon_follow.jobs import Row, crossings
from antiphon_follow.notes import FRAMES_PER_SECOND, NoteBeats
from antiphon_follow.processor import NEW_SECONDS
from antiphon_follow.sound import BEHIND, HOP, SoundBeats
from antiphon_listen.live import FIELDS, METER, NEXT, PLACE, TEMPO, NextBeats
from antiphon_listen.worker import Listener
from antiphon_models.follow.own_files import FILES_DOC, files_in, own_songs, recordings
from antiphon_models.follow.songs import KINDS, PlayedSong, change_tempos, performance, sound_of
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.material.sounds import mono, songs

SONGS, SECONDS, SETTLED = 6, 60.0, 5.0
"""Default number of songs; seconds played of each; seconds after its first note that do not count."""
TEST = "89"
"""Last digits of the measured songs; tables and constants were chosen on others."""
LOW, HIGH = 50.0, 200.0
HIT = 0.07
"""Tolerance in seconds within which a beat counts as found."""
ENTRY_IN, NOBODY_SECONDS = 8.0, 30
"""Beats within which the band should have entered; seconds of a sound without a player."""
LISTENED = 4
"""Hops between two answers of `listen`, 80 ms."""


class FollowedBeats(NamedTuple):
    """Result of following a performance: lines in the format of `antiphon run follow`.

    `joined`: time in seconds at which the clock joined. `led`: seconds during which it was led.
    """

    rows: list[Row]
    joined: float = math.nan
    led: float = 0.0


class FollowEvaluation(Evaluation):
    """Measures loops, POP909's songs ending in 8 and 9 with four kinds of tempo, or the user's performances."""

    classical = "listen"
    peer = "librosa, the whole sound"
    ours = "follow, MIDI; follow, sound"
    columns = "beats; off [ms] ↓; continuity; any octave; downbeats; entry [beats] ↓; entry in 8; led [%] ↓"
    note = (
        "As they come: a beat is at the time at which the count passed it. beats, downbeats: F within 70 ms from 5 s "
        "after the first note; off: median distance of those; continuity: share of beats within 17.5 % of the period "
        "and after a right one (CMLt); "
        "any octave: the same with half and double tempo and off the beat (AMLt); "
        "entry: beats of the player from the first until a bar begins that the clock has joined; in 8: share of those; "
        "led: time for which the clock is led where nobody plays."
    )
    items_note = (
        "drum loops: Sonic Pi's, repeated for half a minute; swells: 12 % over 32 beats; steps: 15 % every 48; "
        "ritardandi: to 70 % over 8 beats, then a new tempo. Sound: FluidR3."
    )
    files_doc = FILES_DOC
    folders = ("pop909", "sonicpi", "esc10", "tracks")
    road = "`antiphon run follow PERF OUT.csv`, whose loop this calls for each frame"

    def files_in(self, data: Path, say: Callable[[str], None] = print) -> tuple[Path, ...]:
        return () if (data / self.folders[0]).is_dir() else files_in(data)

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields the scores of all systems, song by song, grouped by kind of tempo or by folder."""
        systems = ask.select(SYSTEMS)
        for kind, song in self._songs(ask):
            for name, run in systems.items():
                # of what is sound there are no notes, and the user's notes are played by no soundfont
                if run is of_notes if song.sound is not None else ask.files and run is not of_notes:
                    continue
                found = dict(figures(song, run(song)))
                if run in ONLY:
                    found = {name: found[name] for name in ONLY[run] if name in found}
                yield from metric_values(name, song.name, found, kind)
        for name, sound in () if ask.files or not ask.wants("follow, sound") else nobody(ask.data, ask.seed):
            led = of_sound(PlayedSong(name, np.zeros((0, 4)), np.zeros(0), np.zeros(0), sound)).led
            yield MetricValue("follow, sound", "led", name, 100.0 * led * RATE / len(sound), "nobody plays")

    def _songs(self, ask: EvaluationRequest) -> Iterator[tuple[str, PlayedSong]]:
        if ask.files:
            yield from own_songs(ask.files[: ask.limit], ask.say)
            return
        yield from list(recordings(ask.data))[: ask.limit]
        for folder in songs(ask.data, TEST, ask.limit or SONGS):
            played = performance(folder)
            for kind in KINDS:
                yield kind, change_tempos(played, kind).first_seconds(SECONDS)


def nobody(data: Path, seed: int) -> Iterator[tuple[str, F32]]:
    """Sounds of 30 s without a player: synthetic ones, speech, and ESC-10's noises of fold 4."""
    random, frames = np.random.default_rng(seed), NOBODY_SECONDS * RATE
    time, noise = np.arange(frames) / RATE, random.standard_normal(frames)
    pink = np.fft.irfft(np.fft.rfft(noise) * (np.arange(frames // 2 + 1) + 20.0) ** -0.5, frames)
    claps, clap = np.zeros(frames), np.exp(-np.arange(700) / 90.0)
    for at in random.integers(0, frames - 700, 40 * NOBODY_SECONDS):
        claps[at : at + 700] += random.uniform(0.3, 1.0) * clap * random.standard_normal(700)
    drone = np.sin(2.0 * np.pi * 110.0 * time) + 0.5 * np.sin(2.0 * np.pi * 165.0 * time)
    made = {"white noise": noise, "pink noise": pink, "applause": claps, "drone": drone}
    for name, sound in made.items():
        yield name, np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)
    yield "no numbers", np.full(frames, np.nan, np.float32)
    for path in sorted((data / "tracks").glob("speech*.ogg")):
        yield "speech", mono(path, RATE)[:frames]
    for folder in sorted(one for one in (data / "esc10").iterdir() if one.is_dir() and "clock" not in one.name):
        clips = [mono(path, RATE) for path in sorted(folder.glob("4-*.ogg"))]
        if clips:
            yield folder.name, np.concatenate(clips)[:frames]


class Joining:
    """Computes when the clock has joined, and for how long it is led, as the node does."""

    def __init__(self) -> None:
        self._alone, self.at, self.led = math.inf, math.nan, 0.0

    def take(self, at: float, seconds: float, count: BeatCounter) -> None:
        if not count.following:
            self._alone += seconds
            return
        if count.sure >= ENTRY_BEATS or self._alone < NEW_SECONDS:
            self.at = at if math.isnan(self.at) else self.at
            self._alone = 0.0
            self.led += seconds


def of_notes(song: PlayedSong) -> FollowedBeats:
    """Follows a performance by its notes."""
    follower, count, place, rows, joining = NoteBeats(LOW, HIGH), BeatCounter(), 0, list[Row](), Joining()
    for frame in range(round((song.notes[-1, 0] + 0.5) * FRAMES_PER_SECOND)):
        end = (frame + 1) / FRAMES_PER_SECOND
        while place < len(song.notes) and song.notes[place, 0] < end:
            follower.note(song.notes[place, 0], int(song.notes[place, 1]), song.notes[place, 2])
            place += 1
        follower.step()
        follower.filter.read()
        count.advance(1.0 / FRAMES_PER_SECOND, follower.filter, 0.0)
        joining.take(end, 1.0 / FRAMES_PER_SECOND, count)
        if count.known:
            rows.append((end, count.beat, count.meter))
    return FollowedBeats(rows, joining.at, joining.led)


def _sound(song: PlayedSong) -> F32:
    """Sound of a performance; notes are rendered by FluidR3."""
    if song.sound is not None:
        return song.sound
    return sound_of(song.tracks())[: round(SECONDS * RATE)]


def beats_by_librosa(song: PlayedSong) -> FollowedBeats:
    """Beats found by librosa in the whole sound at once, without bars."""
    _, times = import_librosa().beat.beat_track(y=_sound(song), sr=RATE, units="time")
    return FollowedBeats([(float(at), float(beat), 4) for beat, at in enumerate(times)])


def beats_by_listen(song: PlayedSong) -> FollowedBeats:
    """Beats as the node `listen` schedules them from the last 14 seconds of sound."""
    sound, listener, beats = _sound(song), Listener(RATE, 1), NextBeats(RATE)
    answer, rows, number = np.zeros(FIELDS, np.float32), list[Row](), 0
    for end in range(HOP, len(sound), HOP):
        listener.feed(sound[None, end - HOP : end])
        if end // HOP % LISTENED == 0:
            listener.answer(answer)
            period = 60.0 * RATE / float(answer[TEMPO]) if answer[TEMPO] else 0.0
            beats.update(period, end + float(answer[NEXT]) * RATE, int(answer[PLACE]), int(answer[METER]), end)
        while (at := beats.beat_in_block(end, end + HOP)) is not None:
            number += 1
            while number % beats.meter != beats.place:
                number += 1
            rows.append((at / RATE, float(number), beats.meter))
    return FollowedBeats(rows)


def of_sound(song: PlayedSong) -> FollowedBeats:
    """Follows a performance by its sound."""
    sound = _sound(song)
    follower, count, rows, joining = SoundBeats(LOW, HIGH), BeatCounter(), list[Row](), Joining()
    for first in range(0, len(sound), HOP):
        for _ in range(follower.feed(sound[first : first + HOP])):
            follower.filter.read()
            if not follower.heard:
                follower.filter.sureness = 0.0
            count.advance(HOP / RATE, follower.filter, BEHIND)
            joining.take(follower.seconds + BEHIND, HOP / RATE, count)
            if count.known:
                rows.append((follower.seconds + BEHIND, count.beat, count.meter))
    return FollowedBeats(rows, joining.at, joining.led)


SYSTEMS: dict[str, Callable[[PlayedSong], FollowedBeats]] = {
    "listen": beats_by_listen,
    "librosa, the whole sound": beats_by_librosa,
    "follow, MIDI": of_notes,
    "follow, sound": of_sound,
}

ONLY = {
    beats_by_librosa: ("beats", "off", "continuity", "any octave"),
    beats_by_listen: ("beats", "off", "continuity", "any octave", "downbeats"),
}
"""Measures that apply to systems without a clock."""


def figures(song: PlayedSong, answer: FollowedBeats) -> Iterator[tuple[str, float]]:
    """Measures the lines of a followed performance."""
    import mir_eval

    first, end = song.beats[0], song.beats[-1] + 0.5 * (song.beats[-1] - song.beats[-2])
    if len(song.notes):
        first, end = song.notes[0, 0], song.notes[-1, 0]
    passed, begin = crossings(answer.rows), SETTLED + float(first)
    found = [(at, down) for at, _, down in passed if begin < at < end]
    times, downs = np.array([at for at, _ in found]), np.array([down for _, down in found], bool)
    counted = (song.beats > begin) & (song.beats < end)
    beats, bars = song.beats[counted], song.beats[counted & (np.asarray(song.downs) > 0)]
    yield "beats", float(mir_eval.beat.f_measure(beats, times))
    away = np.abs(beats[:, None] - times[None]).min(axis=1) if len(times) else np.zeros(0)
    if (hit := away[away <= HIT]).size:
        yield "off", 1000.0 * float(np.median(hit))
    yield "continuity", continuity(beats, times)
    yield "any octave", continuity(beats, times, 3)
    if len(bars):
        yield "downbeats", float(mir_eval.beat.f_measure(bars, times[downs] if len(times) else times))
    bar = next((at for at, _, down in passed if down and at >= answer.joined), math.nan)
    period = float(np.median(np.diff(song.beats)))
    waited = float(((song.beats >= first - period / 2.0) & (song.beats < bar - period / 2.0)).sum())
    yield "entry", waited if math.isfinite(bar) else math.nan
    yield "entry in 8", float(math.isfinite(bar) and waited <= ENTRY_IN)


def continuity(beats: F64, found: F64, which: int = 1) -> float:
    """CMLt of mir_eval, or with `which=3` AMLt."""
    import mir_eval

    return float(mir_eval.beat.continuity(beats, found)[which]) if len(found) > 1 and len(beats) > 1 else 0.0
