"""`antiphon evaluate record`: a recording that waits and follows, beside the person who plays it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon_models.follow.songs import PlayedSong, factors, performance, scale_beat_tempos
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.learning.user_commands import command
from antiphon_models.material.sounds import songs
from antiphon_record.kernels import STEMS
from antiphon_record.preparing import RATE, beat_places, write_prepared

SONGS, SECONDS, COUNT = 4, 50.0, 4
"""Default number of songs; measured seconds; beats of the count-in."""
TEST = "89"
STOP, BACK, EVENT_AT = 5.0, 2, 0.5
"""Seconds of a stop, bars of a jump back, and where they are in a performance."""
STEP_AT = 24
"""Beats until the first step of the tempo."""
TELLS, LOW, APART = 16, 600.0, 200.0
"""Beats told apart by the pitch of their clicks, and the lowest pitch and distance of those in Hz."""
TOGETHER = 0.1
"""Seconds within which the record is with the player."""
KINDS = ("as played", "swells", "steps", "stop", "jump back")
PATCH = """format = 1
tempo = {tempo}
[nodes.follow]
drive = "beat"
range = "{low:.0f}-{high:.0f}"
[nodes.record]
file = "{file}"
waits = 2
[wires]
"record" = "out"
"""

I64 = NDArray[np.int64]


class RecordEvaluation(Evaluation):
    """Measures records of POP909's beats, with a click on each, played along with by the songs' pianists."""

    trivial = "the record untouched"
    ours = "record, MIDI"
    columns = "off, p50 [ms] ↓; off, p95 [ms] ↓; right bar; again in 2 beats"
    note = (
        "off: distance of the record's clicks from the player's nearest beat; right bar: share of the clicks in the "
        "player's bar; again in 2 beats: whether after a stop of 5 s, or a jump back by two bars, the clicks of the "
        "third beat to the tenth are within 100 ms of the player's, and of the same beats."
    )
    items_note = "The player counts in four taps. swells: 12 % over 32 beats; steps: 15 % at the 24th."
    folders = ("pop909",)
    road = "`antiphon render PATCH --events PLAYER`, of a patch with `follow` and `record`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields the scores of both systems, song by song, by kind of tempo."""
        for folder in songs(ask.data, TEST, ask.limit or SONGS):
            song = _from_a_bar(performance(folder, ("MELODY", "PIANO")))
            for kind in KINDS:
                played, places, event = _performed(song, kind)
                if ask.wants("record, MIDI"):
                    row = _figures(played, *_clicks(_rendered(song, played)), places, event)
                    yield from metric_values("record, MIDI", song.name, row, kind)
                if ask.wants("the record untouched"):
                    count = np.arange(np.searchsorted(song.beats, played.beats[-1]))
                    row = _figures(played, song.beats[count], count % TELLS, places, event)
                    yield from metric_values("the record untouched", song.name, row, kind)


def _performed(song: PlayedSong, kind: str) -> tuple[PlayedSong, I64, int]:
    """A performance of a kind, the record's beat at each of its beats, and the first beat after its event, or 0."""
    skipped = STEP_AT if kind == "steps" else 0
    tempos = factors(kind, len(song.beats) - 1 + skipped)[skipped:]
    played = scale_beat_tempos(song, tempos).first_seconds(SECONDS)
    places, event = np.arange(len(played.beats)), 0
    if kind in KINDS[3:]:
        lines = np.flatnonzero(played.downs)
        event = int(lines[round(EVENT_AT * len(lines))])
        back = int(lines[round(EVENT_AT * len(lines)) - BACK]) if kind == "jump back" else event
        later = played.beats[event] - played.beats[back] + (STOP if kind == "stop" else 0.0)
        before, after = (played.notes[:, 0] < played.beats[n] - 0.06 for n in (event, back))
        again = played.notes[~after] + [later, 0.0, 0.0, 0.0]
        beats, places = (
            np.concatenate([one[:event], one[back:] + by]) for one, by in ((played.beats, later), (places, 0))
        )
        played = PlayedSong(song.name, np.concatenate([played.notes[before], again]), beats, played.downs[places])
    return played, places, event


def _from_a_bar(song: PlayedSong) -> PlayedSong:
    """The song from its first bar line on, after a count-in in its first tempo."""
    first = int(np.argmax(song.downs))
    beat = float(np.median(np.diff(song.beats[first : first + 9])))
    begin = song.beats[first] - (COUNT + 1) * beat
    notes = song.notes[song.notes[:, 0] >= song.beats[first] - 0.06].copy()
    notes[:, 0] -= begin
    return PlayedSong(song.name, notes, song.beats[first:] - begin, song.downs[first:])


@contextmanager
def _home() -> Iterator[Path]:
    """User folders of its own."""
    before = os.environ.get("ANTIPHON_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["ANTIPHON_HOME"] = home
        try:
            yield Path(home)
        finally:
            os.environ.pop("ANTIPHON_HOME")
            if before is not None:
                os.environ["ANTIPHON_HOME"] = before


def _rendered(record: PlayedSong, player: PlayedSong) -> F32:
    """Sound of a record of clicks on a song's beats, for a player of it."""
    beats = record.beats - record.beats[0]
    clicks = np.zeros((len(STEMS), 2, round((beats[-1] + 1.0) * RATE)), np.float32)
    length = round(0.05 * RATE)
    time = np.arange(length) / RATE
    for n, at in enumerate(beats):
        tone = 0.5 * np.exp(-time / 0.012) * np.sin(2.0 * np.pi * (LOW + APART * (n % TELLS)) * time)
        clicks[1, :, round(at * RATE) : round(at * RATE) + length] += tone.astype(np.float32)
    with _home() as home:
        source = home / "record.wav"
        soundfile.write(source, clicks.sum(axis=0).T, RATE, "FLOAT")
        # a few songs have a bar of another length in between: the record counts on from its first line
        write_prepared(source, clicks, *beat_places(beats, beats[:1].tolist(), "4/4"))
        tempo = 60.0 / float(np.median(np.diff(beats[:17])))
        patch, events, out = home / "patch.toml", home / "events.jsonl", home / "out.wav"
        limits = {"low": max(30.0, tempo / 1.4), "high": min(300.0, tempo * 1.4)}
        patch.write_text(PATCH.format(tempo=tempo, file=source, **limits))
        events.write_text("\n".join(json.dumps(one) for one in _events(player)))
        seconds = f"{player.beats[-1] + 0.3:.3f}"
        command("render", patch, "--events", events, "--out", out, "--seconds", seconds, "--no-limit", "--fade", "0")
        sound, _ = soundfile.read(out, dtype="float32")
    return np.asarray(sound[:, 0], np.float32)


def _events(player: PlayedSong) -> list[dict[str, object]]:
    """The player's taps and notes, in order of time."""
    beat = float(np.median(np.diff(player.beats[:9])))
    made = [(player.beats[0] - n * beat, "/node/follow/tap", [1]) for n in range(COUNT, 0, -1)]
    for at, number, velocity, length in player.notes:
        made.append((at, "/note/on", [int(number), max(1, round(127 * velocity))]))
        made.append((at + max(0.03, length), "/note/off", [int(number), 0]))
    made.sort(key=lambda one: one[0])
    return [{"time": round(at, 6), "address": address, "args": args} for at, address, args in made]


def _clicks(sound: F32) -> tuple[F64, I64]:
    """Seconds of the clicks, and which of `TELLS` each is."""
    loud, found, kinds = np.flatnonzero(np.abs(sound) > 0.05), list[float](), list[int]()
    ends = -RATE
    for at in loud.tolist():
        if at - ends > 0.06 * RATE:
            piece = sound[at : at + 1200] * np.hanning(2400)[1200:][: len(sound[at : at + 1200])]
            peak = float(np.argmax(np.abs(np.fft.rfft(piece, 1 << 14)))) * RATE / (1 << 14)
            found.append(at / RATE)
            kinds.append(round((peak - LOW) / APART) % TELLS)
        ends = at
    return np.array(found), np.array(kinds, np.int64)


def _figures(song: PlayedSong, at: F64, kinds: I64, places: I64, event: int) -> Iterator[tuple[str, float]]:
    """Figures of clicks at `at` seconds, each on the beat of its kind; `places`, `event` see `_performed`."""
    inside = (at > song.beats[0] - 0.2) & (at < song.beats[-1] + 0.2)
    at, kinds = at[inside], kinds[inside]
    if not len(at):
        return
    nearest = np.abs(at[:, None] - song.beats).argmin(axis=1)
    off, place = np.abs(at - song.beats[nearest]), places[nearest]
    yield "off, p50", 1000.0 * float(np.quantile(off, 0.5))
    yield "off, p95", 1000.0 * float(np.quantile(off, 0.95))
    wrong = (kinds - place + TELLS // 2) % TELLS - TELLS // 2
    yield "right bar", float(np.mean((place + wrong) // 4 == place // 4))
    if event:
        late = (nearest >= event + 2) & (nearest < event + 10)
        yield "again in 2 beats", float(late.any() and bool(((off < TOGETHER) & (wrong == 0))[late].all()))
