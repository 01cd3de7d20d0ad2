"""`antiphon evaluate follow`: the beat of POP909's pianists as it comes, from their notes and from a soundfont."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.files import write_midi
from antiphon_follow.clock import BeatCount
from antiphon_follow.evidence import RATE
from antiphon_follow.jobs import Row, crossings
from antiphon_follow.notes import FRAMES_PER_SECOND, NoteBeats
from antiphon_follow.sound import BEHIND, HOP, SoundBeats
from antiphon_models.follow.songs import KINDS, PlayedSong, performance, warped
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.material.fluidsynth import FLUID, FluidSettings, play
from antiphon_models.material.sounds import songs

SONGS, SECONDS, SETTLED = 6, 60.0, 5.0
"""Default number of songs; seconds of each that are played, and those after its first note that do not count."""
TEST = "89"
"""Last digits of the songs that are measured: tables and constants were chosen on others."""
LOW, HIGH = 50.0, 200.0
_STEADY = 0.175


class FollowEvaluation(Evaluation):
    """POP909's songs whose numbers end in 8 and 9, with four kinds of tempo."""

    peer = "librosa, the whole sound"
    ours = "follow, MIDI; follow, sound"
    columns = "beats; continuity; downbeats"
    note = (
        "As they come: a beat is at the time at which the count passed it. beats, downbeats: F within 70 ms from 5 s "
        "after the first note; continuity: share of beats within 17.5 % of the period and after a right one (CMLt). "
        "swells: 12 % over 32 beats; steps: 15 % every 48; ritardandi: to 70 % over 8 beats, then a new tempo. Sound: "
        "FluidR3."
    )
    folders = ("pop909",)
    road = "`antiphon run follow PERF OUT.csv`, whose loop this calls for each frame"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Scores of all systems, song by song, by kind of tempo."""
        systems = {"librosa, the whole sound": of_librosa, "follow, MIDI": of_notes, "follow, sound": of_sound}
        for folder in songs(ask.data, TEST, ask.limit or SONGS):
            played = performance(folder)
            for kind in KINDS:
                song = warped(played, kind).upto(SECONDS)
                for name, run in ask.wanted(systems).items():
                    found = dict(figures(song, run(song)))
                    if run is of_librosa:
                        del found["downbeats"]
                    yield from scored(name, song.name, found, kind)


def of_notes(song: PlayedSong) -> list[Row]:
    """Lines of a performance's notes."""
    follower, count, place, rows = NoteBeats(LOW, HIGH), BeatCount(), 0, list[Row]()
    for frame in range(round((song.notes[-1, 0] + 0.5) * FRAMES_PER_SECOND)):
        end = (frame + 1) / FRAMES_PER_SECOND
        while place < len(song.notes) and song.notes[place, 0] < end:
            follower.note(song.notes[place, 0], int(song.notes[place, 1]), song.notes[place, 2])
            place += 1
        follower.step()
        follower.filter.read()
        count.advance(1.0 / FRAMES_PER_SECOND, follower.filter, 0.0)
        if count.known:
            rows.append((end, count.beat, count.meter))
    return rows


def _sound(song: PlayedSong) -> F32:
    """Its sound by FluidR3."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_midi(path, song.tracks(), 120.0)
        score = path.read_bytes()
    sound = play(score, FLUID, RATE, FluidSettings(0.5, True)).mean(axis=1)
    return np.asarray(0.5 * sound / max(1e-6, float(np.abs(sound).max())), np.float32)[: round(SECONDS * RATE)]


def of_librosa(song: PlayedSong) -> list[Row]:
    """Beats of its sound by librosa: of the whole sound at once, and without bars."""
    _, times = import_librosa().beat.beat_track(y=_sound(song), sr=RATE, units="time")
    return [(float(at), float(beat), 4) for beat, at in enumerate(times)]


def of_sound(song: PlayedSong) -> list[Row]:
    """Lines of its sound."""
    sound = _sound(song)
    follower, count, rows = SoundBeats(LOW, HIGH), BeatCount(), list[Row]()
    for first in range(0, len(sound), HOP):
        for _ in range(follower.feed(sound[first : first + HOP])):
            follower.filter.read()
            if not follower.heard:
                follower.filter.sureness = 0.0
            count.advance(HOP / RATE, follower.filter, BEHIND)
            if count.known:
                rows.append((follower.seconds + BEHIND, count.beat, count.meter))
    return rows


def figures(song: PlayedSong, rows: list[Row]) -> Iterator[tuple[str, float]]:
    """Measures of a performance's lines."""
    import mir_eval

    begin, end = SETTLED + float(song.notes[0, 0]), float(song.notes[-1, 0])
    found = [(at, down) for at, _, down in crossings(rows) if begin < at < end]
    times, downs = np.array([at for at, _ in found]), np.array([down for _, down in found], bool)
    counted = (song.beats > begin) & (song.beats < end)
    beats, bars = song.beats[counted], song.beats[counted & (np.asarray(song.downs) > 0)]
    yield "beats", float(mir_eval.beat.f_measure(beats, times))
    yield "continuity", continuity(beats, times)
    yield "downbeats", float(mir_eval.beat.f_measure(bars, times[downs] if len(times) else times))


def continuity(beats: F64, found: F64) -> float:
    """CMLt of mir_eval."""
    import mir_eval

    return float(mir_eval.beat.continuity(beats, found)[1]) if len(found) > 1 and len(beats) > 1 else 0.0
