"""`antiphon evaluate listen`: measures beats, tempo, chords and key of songs rendered with two soundfonts."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.signal import key_name
from antiphon_listen import live as answers
from antiphon_listen.harmony import LABELS, chord_network, viterbi_states
from antiphon_listen.live import NextBeats
from antiphon_listen.spectra import FRAMES_PER_SECOND, ConstantQ
from antiphon_listen.worker import Listener
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.learning.user_commands import analysis_of
from antiphon_models.listen.songs import RATE, SOUNDFONTS, TEST, ListenedSong, read_song, render_score, root_of
from antiphon_models.material import table_beside
from antiphon_models.material.fluidsynth import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.part_songs import key_of_sound
from antiphon_models.material.sounds import evenly_spaced_items, songs

# ---- Rhythms of several styles and meters, with drums alone or with bass and chords, their beats and bars known

SECONDS = 36.0
_DRUMS, _BASS, _CHORDS = 9, 1, 2


@dataclass(frozen=True, slots=True)
class Groove:
    """A bar of drums, a character per step, `x` for a hit, with the steps at which bass and chords play.

    Attributes:
        steps: Steps per beat.
        bass: Steps of the bar on which it plays; likewise `chords`.
        program: General MIDI program of the chords.
    """

    meter: int
    steps: int
    tempi: tuple[float, ...]
    drums: tuple[tuple[int, str], ...]
    bass: tuple[int, ...]
    chords: tuple[int, ...]
    program: int = 0


_TABLE = table_beside(__file__)
GROOVES = {
    name: Groove(**{**row, "drums": tuple((_TABLE["drums"][drum], line) for drum, line in row["drums"].items())})
    for name, row in _TABLE["grooves"].items()
}
_TURNS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
"""Chords of C, A minor, F and G, one bar each."""


def rhythms(work: Path, meter: int, limit: int = 0) -> Iterator[ListenedSong]:
    """Renders grooves of a meter, at most `limit` (0: all) evenly chosen, alternating the soundfonts.

    Each is played at each of its tempi, by drums alone and with a band.
    """
    every = [
        (f"{name} {tempo:g}{' band' if band else ''}", groove, tempo, band)
        for name, groove in GROOVES.items()
        if groove.meter == meter
        for tempo in groove.tempi
        for band in (False, True)
    ]
    for place, chosen in enumerate(evenly_spaced_items(every, limit)):
        yield _song(*chosen, list(SOUNDFONTS)[place % 2], work)


def _song(name: str, groove: Groove, tempo: float, band: bool, soundfont: str, work: Path) -> ListenedSong:
    bars = int(SECONDS * tempo / 60.0 / groove.meter)
    beats = 60.0 / tempo * np.arange(bars * groove.meter, dtype=np.float64)
    sound = render_score(name.replace(" ", "-"), lambda: _notes(groove, tempo, bars, band), work, soundfont)
    return ListenedSong(name, sound, beats, beats[:: groove.meter], (), "", 1)


def _notes(groove: Groove, tempo: float, bars: int, band: bool) -> bytes:
    step = 60.0 / tempo / groove.steps
    events: list[tuple[int, bytes]] = [(0, program_change(_BASS, 33)), (0, program_change(_CHORDS, groove.program))]

    def strike(channel: int, number: int, velocity: int, at: float, length: float) -> None:
        events.append((round(at * TICKS), note_on(channel, number, velocity)))
        events.append((round((at + length) * TICKS) - 1, note_off(channel, number)))

    for bar in range(bars):
        begin, chord = bar * groove.meter * groove.steps * step, _TURNS[bar % 4]
        for number, line in groove.drums:
            for place in (n for n, mark in enumerate(line) if mark == "x"):
                strike(_DRUMS, number, 100 if place % groove.steps == 0 else 80, begin + place * step, step)
        for place in groove.bass if band else ():
            strike(_BASS, 36 + (chord[0] - 3) % 12, 95, begin + place * step, 2.0 * step)
        for place in groove.chords if band else ():
            for note in chord:
                strike(_CHORDS, 60 + note % 12, 75, begin + place * step, 1.5 * step)
    return midi_bytes(sorted(events, key=lambda event: event[0]))


SONGS = 24
"""Default number of songs, each with both soundfonts."""
_TEMPO_WITHIN = 0.04
EARLY_SECONDS = 4.0
"""Seconds after the first sound at which the live tempo is measured."""
_HOP = 1882
"""Frames of a live hop at `RATE`: 85 ms, as the node's are at 48 kHz."""
_LOUD = 1e-3
_SELF_TRANSITION = 0.957
"""Self-transition probability of crema's decoder."""
_BEAT_TOLERANCE = 0.03
"""Tolerance in seconds of a beat."""
Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MusicEstimate:
    """Output of a system; None for quantities it lacks, 0 and "" for an undetected tempo and key. Has `music`'s fields.

    `early`: the tempo estimated `EARLY_SECONDS` seconds after the first sound.
    """

    tempo: float | None = None
    beats: Any = None
    downbeats: Any = None
    key: str | None = None
    chords: Any = None
    early: float | None = None


class ListenEvaluation(Evaluation):
    """Measures POP909's songs ending in 8 and 9, unused in fitting, rendered with two soundfonts."""

    trivial = "every 4th of librosa"
    peer = "librosa beats; templates; Krumhansl; crema"
    ours = "listen; listen, live"
    columns = (
        "beats; within 30 ms; downbeats; of bars that hold; tempo; half or double; tempo at 4 s; majmin; sevenths; "
        "mirex; no chord ↓; key; key or relative; key, weighted; shown"
    )
    note = (
        "beats, downbeats: mir_eval's F within 70 ms; within 30 ms: that of beats; of bars that hold: that of "
        "downbeats where the piano's low notes do not contradict the annotation. tempo: within 4 %; half or double "
        "counts those too; at 4 s: after the first sound. live: beats and tempo as they were known before, the key "
        "last named. majmin, sevenths, mirex: mir_eval; no chord: its share of the time. key, of those that are shown: "
        "the exact one of the longest part; or relative: A minor for C major too; weighted as MIREX. Rhythms are drums "
        "alone, and with bass and chords. Renders are no records."
    )
    folders = ("pop909",)
    road = '`antiphon library analyse FILE --only music --json`; the row with "live" is the node\'s worker, hop by hop'

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields scores of all systems, song by song, by soundfont; for beats also songs after hiss, and rhythms."""
        folders = songs(ask.data, TEST, ask.limit or SONGS)
        for soundfont in SOUNDFONTS:
            for folder in folders:
                song = read_song(folder, ask.work, soundfont)
                for name, run in ask.select(SYSTEMS).items():
                    yield from metric_values(name, song.name, score_estimate(song, run(song.sound)), soundfont)
        late = ((_LATE, prepend_hiss(read_song(folder, ask.work, "FluidR3"))) for folder in folders)
        grooves = (
            (name, song) for name, meter in _RHYTHMS.items() for song in rhythms(ask.work, meter, ask.limit or 0)
        )
        for group, song in itertools.chain(late, grooves):
            for name, run in ask.select({name: SYSTEMS[name] for name in _BEATS}).items():
                found = run(song.sound)
                part = MusicEstimate(found.tempo, found.beats, found.downbeats)
                yield from metric_values(name, song.name, score_estimate(song, part), group)


def prepend_hiss(song: ListenedSong) -> ListenedSong:
    """Puts `_HISS_SECONDS` seconds of hiss before a song, and the same hiss under it."""
    size = round(_HISS_SECONDS * RATE)
    sound = np.concatenate([np.zeros(size, np.float32), song.sound])
    sound += _HISS * np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    return replace(song, sound=sound, beats=song.beats + _HISS_SECONDS, downbeats=song.downbeats + _HISS_SECONDS)


def score_estimate(song: ListenedSong, found: MusicEstimate) -> Iterator[tuple[str, float]]:
    """Compares a system's estimate with the song; yields (name, score) for each quantity that it gives.

    A score is 0 to 1. A quantity that is None in `found`, and chords of a song without labels, have none.
    """
    import mir_eval

    def agreement(truth: Any, estimate: Any, within: float = 0.07) -> float:
        trim = mir_eval.beat.trim_beats
        return float(mir_eval.beat.f_measure(trim(np.asarray(truth)), trim(np.asarray(estimate, np.float64)), within))

    def ratio(tempo: float) -> float:
        return tempo * float(np.median(np.diff(song.beats))) / 60.0

    if found.beats is not None:
        yield "beats", agreement(song.beats, found.beats)
        yield "within 30 ms", agreement(song.beats, found.beats, _BEAT_TOLERANCE)
    if found.downbeats is not None:
        right = agreement(song.downbeats, found.downbeats)
        yield from ((name, right) for name in ("downbeats", "of bars that hold")[: 1 + song.bars_hold])
    if found.tempo is not None:
        yield "tempo shown", float(found.tempo > 0.0)
    if found.tempo:
        near = [abs(ratio(found.tempo) * times - 1.0) < _TEMPO_WITHIN for times in (1.0, 0.5, 2.0)]
        yield "tempo", float(near[0])
        yield "half or double", float(any(near))
    if found.early is not None:
        yield "tempo at 4 s", float(abs(ratio(found.early) - 1.0) < _TEMPO_WITHIN)
    if found.chords is not None and song.chords:
        truth = [(start, end, label.replace("sus4(b7)", "sus4")) for start, end, label in song.chords]
        scores = mir_eval.chord.evaluate(*_intervals(truth), *_intervals(found.chords))
        for name in ("majmin", "sevenths", "mirex"):
            yield name, float(scores[name])
        lengths = {label: 0.0 for *_, label in found.chords} | {"N": 0.0}
        for start, end, label in found.chords:
            lengths[label] += end - start
        yield "no chord", lengths["N"] / max(1e-9, sum(lengths.values()))
    if found.key is not None:
        yield "shown", float(bool(found.key))
    if found.key:
        yield "key", float(found.key == song.key)
        yield "key or relative", float(found.key in (song.key, _relative(song.key)))
        yield "key, weighted", float(mir_eval.key.weighted_score(song.key, found.key))


def _relative(key: str) -> str:
    """Relative key, such as "A minor" for "C major"."""
    name, mode = key.split()
    other, step = ("minor", 9) if mode == "major" else ("major", 3)
    return key_name(f"{SHARP_NAMES[(root_of(name) + step) % 12]} {other}")


def _intervals(spans: Any) -> tuple[NDArray[np.float64], list[str]]:
    return np.array([[start, end] for start, end, _ in spans], np.float64), [label for _, _, label in spans]


def analysis_result(name: str, sound: Sound, rate: int = RATE) -> MusicEstimate:
    """Runs `antiphon library analyse FILE --only NAME --json`; NAME is `music` or `music-stems`."""
    return music_of_values(analysis_of(sound, rate, name))


def music_of_values(values: Mapping[str, Any]) -> MusicEstimate:
    """Converts an analysis from its values by name."""
    empty = {name: values[name] if values[name] is not None else [] for name in ("beats", "downbeats", "chords")}
    return MusicEstimate(
        values["tempo"] or 0.0, empty["beats"], empty["downbeats"], values["key"] or "", empty["chords"]
    )


def live(sound: Sound) -> MusicEstimate:
    """Runs the node's worker live, hop by hop, with the node's clock and answers a hop late."""
    listener, clock, answer = Listener(RATE, 1), NextBeats(RATE), np.zeros(answers.FIELDS, np.float32)
    beats, downbeats, tempi, early, key = [], [], [], 0.0, ""
    until = _first(sound) + EARLY_SECONDS * RATE
    for end in range(_HOP, len(sound) + 1, _HOP):
        now = end + answers.LEAD * _HOP
        while (at := clock.beat_in_block(now - _HOP, now)) is not None:
            beats.append(at / RATE)
            if clock.place == 0:
                downbeats.append(at / RATE)
        listener.feed(sound[None, end - _HOP : end])
        listener.answer(answer)
        tempo = float(answer[answers.TEMPO])
        period = 60.0 / tempo * RATE if tempo else 0.0
        ahead = end + float(answer[answers.NEXT]) * RATE
        clock.update(period, ahead, int(answer[answers.PLACE]), int(answer[answers.METER]), now)
        tempi.append(tempo)
        early = tempo if now <= until else early
        key = answers.KEYS[int(answer[answers.KEY])] if answer[answers.KEY] else key
    return MusicEstimate(float(np.median(tempi)), beats, downbeats, key, early=early)


def _first(sound: Sound) -> int:
    return int(np.argmax(np.abs(sound) >= _LOUD))


def _librosa_beats(sound: Sound) -> MusicEstimate:
    librosa = import_librosa()
    tempo, beats = librosa.beat.beat_track(y=sound, sr=RATE, units="time")
    first = _first(sound)
    early, _ = librosa.beat.beat_track(y=sound[first : first + round(EARLY_SECONDS * RATE)], sr=RATE)
    return MusicEstimate(float(np.atleast_1d(tempo)[0]), beats, early=float(np.atleast_1d(early)[0]))


def _librosa_downbeats(sound: Sound) -> MusicEstimate:
    """Beats by librosa, with downbeats at the strongest phase of four beats."""
    librosa = import_librosa()
    strength = librosa.onset.onset_strength(y=sound, sr=RATE)
    _, frames = librosa.beat.beat_track(onset_envelope=strength, sr=RATE)
    phase = max(range(4), key=lambda n: float(strength[frames[n::4]].sum()))
    return MusicEstimate(downbeats=librosa.frames_to_time(frames[phase::4], sr=RATE))


def _templates(sound: Sound) -> MusicEstimate:
    """Matches binary triads to librosa's CQT chroma, averaged over its beats."""
    librosa = import_librosa()
    chroma = librosa.feature.chroma_cqt(y=sound, sr=RATE)
    _, frames = librosa.beat.beat_track(y=sound, sr=RATE)
    rows = librosa.util.sync(chroma, list(frames), aggregate=np.median)
    times = librosa.frames_to_time([0, *frames, chroma.shape[1]], sr=RATE)
    times = np.unique(times)[: rows.shape[1] + 1]
    shapes = [np.roll(np.isin(np.arange(12), notes), root) for notes in ((0, 4, 7), (0, 3, 7)) for root in range(12)]
    best = (np.array(shapes, np.float64) @ rows).argmax(axis=0)
    return MusicEstimate(
        chords=[
            (times[n], times[n + 1], f"{SHARP_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}")
            for n, chord in enumerate(best)
            if n + 1 < len(times)
        ]
    )


def crema(sound: Sound) -> MusicEstimate:
    """Runs the chord network alone, frame by frame, with crema's self-transition probability."""
    network, spectrum = chord_network(), ConstantQ()
    assert network is not None
    spectrum.feed(sound)
    path = viterbi_states(network(spectrum.end()).chords.astype(np.float64), _SELF_TRANSITION)
    edges = np.append(np.flatnonzero(np.diff(path, prepend=-1)), len(path)) / FRAMES_PER_SECOND
    labels = [LABELS[path[round(start * FRAMES_PER_SECOND)]] for start in edges[:-1]]
    return MusicEstimate(chords=list(zip(edges[:-1].tolist(), edges[1:].tolist(), labels, strict=True)))


_LATE, _HISS_SECONDS, _HISS = "FluidR3 behind 7 s of hiss", 7.0, 10**-2.25
"""Group name of songs after hiss, seconds of hiss, and its level, -45 dBFS."""
_RHYTHMS = {"rhythms in four": 4, "rhythms in three": 3}
_BEATS = ("librosa beats", "listen")
"""Systems measured on songs after hiss and on rhythms."""
SYSTEMS: Mapping[str, Callable[[Sound], MusicEstimate]] = {
    "every 4th of librosa": _librosa_downbeats,
    "librosa beats": _librosa_beats,
    "templates": _templates,
    "Krumhansl": lambda sound: MusicEstimate(key=key_of_sound(sound, RATE)),
    "crema": crema,
    "listen": partial(analysis_result, "music"),
    "listen, live": live,
}
