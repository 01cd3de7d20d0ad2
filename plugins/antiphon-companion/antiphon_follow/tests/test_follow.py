"""The player's beat: filters on synthetic performances, and files."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import F64, ParamError, StreamSpec
from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon.api.backends.rendering import load_plugins
from antiphon.api.backends.transports import SetTransport
from antiphon.api.jobs import FileJob
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.offline.note_file import commands as commands_of, find_song_players, read as read_notes
from antiphon.offline.player import FilePlayer
from antiphon_follow.clock import SURE, BeatCounter, range_of
from antiphon_follow.evidence import EDGES, RATE as SOUND_RATE
from antiphon_follow.jobs import run
from antiphon_follow.notes import FRAMES_PER_SECOND, NoteBeats, NoteIntervals
from antiphon_follow.sound import BEHIND, HOP, SoundBeats

RATE, BLOCK = 48000, 512
load_all = cache(partial(load_plugins, check=False))
CHORDS = ((48, 64, 67), (45, 60, 64), (53, 60, 65), (43, 59, 62))


def beats_of(bpm: F64) -> F64:
    """Seconds of beats that last as the tempos say, from 0.5 s on."""
    return np.asarray(0.5 + np.concatenate([[0.0], np.cumsum(60.0 / bpm)]))


def pianist(beats: F64, meter: int = 4, rest: tuple[int, int] = (0, 0)) -> list[tuple[float, int, float]]:
    """A chord with a new bass on each bar, chords on the other beats, and eighths between; silent beats in `rest`."""
    notes = []
    for beat in range(len(beats) - 1):
        if rest[0] <= beat < rest[1]:
            continue
        chord = CHORDS[beat // meter % len(CHORDS)]
        first = beat % meter == 0
        notes += [(float(beats[beat]), key, 0.75 if first else 0.55) for key in (chord if first else chord[1:])]
        notes.append((float(beats[beat] + beats[beat + 1]) / 2.0, chord[2] + 12, 0.4))
    return notes


def followed(notes: list[tuple[float, int, float]], meter: int = 0) -> F64:
    """Rows of (seconds, beat, beats of a bar, sureness) of each frame."""
    follower, count, place, rows = NoteBeats(50.0, 200.0, (meter,) if meter else (4, 3)), BeatCounter(), 0, []
    for frame in range(round((notes[-1][0] + 0.5) * FRAMES_PER_SECOND)):
        while place < len(notes) and notes[place][0] < (frame + 1) / FRAMES_PER_SECOND:
            follower.note(*notes[place])
            place += 1
        follower.step()
        follower.filter.read()
        count.advance(1.0 / FRAMES_PER_SECOND, follower.filter, 0.0)
        rows.append(((frame + 1) / FRAMES_PER_SECOND, count.beat, count.meter, follower.filter.sureness))
    return np.array(rows)


def errors(rows: F64, beats: F64, after: float) -> F64:
    """Beats by which the count is off the player's, whole beats left out, from a time on."""
    late = rows[(rows[:, 0] > after) & (rows[:, 0] < beats[-1])]
    true = np.interp(late[:, 0], beats, np.arange(len(beats)))
    return np.asarray((late[:, 1] - true + 0.5) % 1.0 - 0.5)


STEADY = np.full(64, 104.0)
SWELL = 100.0 * (1.0 + 0.12 * np.sin(2.0 * np.pi * np.arange(96) / 32.0))
STEP = np.concatenate([np.full(32, 96.0), np.full(48, 110.4)])
RUBATO = 96.0 * (1.0 + 0.06 * np.sin(2.0 * np.pi * np.arange(96) / 8.0))


@pytest.mark.parametrize(("bpm", "off"), [(STEADY, 0.03), (SWELL, 0.04), (STEP, 0.03), (RUBATO, 0.06)])
def test_the_beat_is_kept_and_bars_begin_where_the_player_begins_them(bpm: F64, off: float) -> None:
    beats = beats_of(bpm)
    rows = followed(pianist(beats))
    assert np.quantile(np.abs(errors(rows, beats, 8.0)), 0.95) < off
    assert (np.diff(rows[:, 1]) >= 0.0).all(), "no beat comes twice"
    bars = np.interp(rows[-400:, 0], beats, np.arange(len(beats))) % 4.0
    assert np.median(np.abs((rows[-400:, 1] - bars + 2.0) % 4.0 - 2.0)) < 0.2


def test_the_time_from_onset_to_onset_stands_out() -> None:
    heard = NoteIntervals()
    for frame in range(round(12.0 * FRAMES_PER_SECOND)):
        heard.step([(72, 0.6)] if frame % 20 == 0 else [])
    most = int(np.argmax(heard.slow[: len(EDGES) - 1]))
    assert EDGES[most] <= 20 <= EDGES[most + 1]


@pytest.mark.parametrize("tempo", [100.0, 120.0])
def test_chords_on_the_beats_are_no_eighths_of_a_slow_player(tempo: float) -> None:
    beats = beats_of(np.full(40, tempo))
    notes = [(at, key, loud) for at, key, loud in pianist(beats) if np.abs(beats - at).min() < 0.01]
    rows = followed(notes)
    sure = rows[rows[:, 0] > beats[24]]
    bpm = 60.0 * np.diff(sure[::100, 1]) / np.diff(sure[::100, 0])
    assert np.abs(bpm - tempo).max() < 12.0


def test_a_rest_of_four_beats_is_counted_through() -> None:
    beats = beats_of(STEADY)
    rows = followed(pianist(beats, rest=(32, 36)))
    assert np.abs(errors(rows, beats, beats[32])).max() < 0.12


def test_a_waltz_has_three_beats() -> None:
    beats = beats_of(np.full(90, 120.0))
    rows = followed(pianist(beats, meter=3))
    assert rows[-1, 2] == 3
    true = np.interp(rows[-300:, 0], beats, np.arange(len(beats)))
    assert np.median(np.abs((rows[-300:, 1] - true + 1.5) % 3.0 - 1.5)) < 0.2


@pytest.mark.parametrize("text", ["", "90", "60-", "200-60", "1-500", "nan-inf"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParamError, match="range takes two tempos as 60-200"):
        range_of(text)


# ---- files
def midi_of(path: Path, notes: list[tuple[float, int, float]]) -> Path:
    write_midi(path, [MidiTrack("", tuple(MidiNote(2.0 * at, 0.4, key, loud) for at, key, loud in notes))], 120.0)
    return path


def test_run_writes_lines_as_they_are_known(tmp_path: Path) -> None:
    beats = beats_of(STEADY[:40])
    whole = midi_of(tmp_path / "whole.mid", pianist(beats))
    part = midi_of(tmp_path / "part.mid", [note for note in pianist(beats) if note[0] < 12.0])
    for source in (whole, part):
        click = {"click": source.with_suffix(".wav")}
        run(FileJob("follow", source, source.with_suffix(".csv"), beside=click))
    lines = whole.with_suffix(".csv").read_text().splitlines()
    assert lines[0] == "time,beat"
    rows = np.array([[float(word) for word in line.split(",")] for line in lines[1:]])
    assert np.diff(rows[:, 0]).max() <= 60.0 / 104.0 / 4.0
    known = sum(at < 12.0 for at in rows[:, 0])
    assert part.with_suffix(".csv").read_text().splitlines()[1 : known - 2] == lines[1 : known - 2]
    heard, rate = soundfile.read(part.with_suffix(".wav"))
    assert np.abs(heard[: round(0.49 * rate)]).max() == 0.0
    assert 0.1 < np.abs(heard[: round(0.95 * rate)]).max() < 0.3, "its notes, before a beat is known"


def test_a_performance_of_another_score_or_part_is_said_to_be_one(tmp_path: Path) -> None:
    rng, said = np.random.default_rng(1), list[str]()
    low, high = ([MidiNote(float(n), 0.9, int(rng.integers(at, at + 12))) for n in range(48)] for at in (40, 72))
    parts = [MidiTrack("Low", tuple(low)), MidiTrack("High", tuple(high))]
    write_midi(tmp_path / "both.mid", parts)
    write_midi(tmp_path / "high.mid", parts[1:])
    for part in ("High", "Low"):
        settings = {"score": str(tmp_path / "both.mid"), "part": part}
        job = FileJob("follow", tmp_path / "high.mid", tmp_path / "a.csv", settings, complain=said.append)
        (made,) = run(job)
        assert len(said) == (part == "Low")
        assert (made.found == ("to beat 48 of 48",)) == (part == "High")
    assert "are these the parts that are played" in said[0]


def test_a_click_beside_a_loud_sound_stays_below_full_scale(tmp_path: Path) -> None:
    beats, frames = beats_of(np.full(16, 100.0)), 12 * RATE
    sound = np.zeros(frames, np.float32)
    for at in beats:
        first = round(at * RATE)
        part = sound[first : first + 4000]
        part += 0.99 * np.exp(-np.arange(len(part)) / 900.0) * np.sin(0.1309 * np.arange(len(part)))
    source, click = tmp_path / "loud.wav", tmp_path / "click.wav"
    soundfile.write(source, sound, RATE, "PCM_16")
    _, made = run(FileJob("follow", source, tmp_path / "out.csv", beside={"click": click}))
    heard, _ = soundfile.read(click)
    assert 0.8 < np.abs(heard).max() < 0.892, "-1 dB of full scale"
    assert any("limited by" in words for words in (*made.found, *made.parts))


def test_run_writes_beats_as_strokes_of_a_drum_kit(tmp_path: Path) -> None:
    beats = beats_of(STEADY[:40])
    source, out = midi_of(tmp_path / "played.mid", pianist(beats)), tmp_path / "out.mid"
    run(FileJob("follow", source, out))
    song = read_midi(out)
    strokes = [note for track in song.tracks for note in track.notes]
    assert {note.channel for note in strokes} == {10}
    at = np.array([song.seconds(note.start) for note in strokes[:-1]])  # the last is foreseen
    assert np.abs(at[:, None] - np.array(beats)[None]).min(axis=1).max() < 0.1


def test_a_performance_is_followed_on_files_and_a_song_on_its_own_beats_is_not(tmp_path: Path) -> None:
    loaded, beats = load_all(), beats_of(SWELL[:40])
    graph = Graph((NodeSpec("follow", "follow"), NodeSpec("keys", "sampler", {"s": "piano"})))
    on_grid = [(float(np.interp(at, beats, np.arange(len(beats)))) / 2.0, *note) for at, *note in pianist(beats)]
    # steady performances whose beats lie elsewhere than the file's, by a share of a beat
    random = np.random.default_rng(1)
    beside = [
        [(max(0.0, at + 0.5 * share + random.normal(0.0, 0.008)), *note) for at, *note in on_grid]
        for share in (0.02, 0.13, 0.36, 0.75)
    ]
    scores = [read_notes(midi_of(tmp_path / "in.mid", notes), RATE) for notes in (pianist(beats), on_grid, *beside)]
    follows, plays = ("keys", "follow"), ("keys",)
    takers = [find_song_players(graph, loaded.catalog, score) for score in scores]
    # of short chords in eighths it is not always clear which of them are on the beats
    assert [taken.all for taken in takers] == [follows, plays, plays, follows, follows, plays]
    # the clock is on the player's beats, a bar line 0.75 beats after the file's
    runner = FilePlayer(
        graph,
        loaded.catalog,
        loaded.make,
        StreamSpec(RATE, BLOCK, 2),
        90.0,
        sent := [SetTransport(True), *commands_of(scores[-1], takers[-1])],
    )
    for _ in range(2 * RATE // BLOCK):
        runner.run(np.zeros((2, BLOCK), np.float32))
    assert runner.clock.beat - 2.0 * runner.clock.sample / RATE == pytest.approx(3.25, abs=0.02)
    runner.close()
    assert sent[2:] == commands_of(replace(scores[-1], begins=0.0), takers[-1]), "what is played stays in its place"


# ---- what is no player
def test_an_even_tune_is_sure_within_six_beats() -> None:
    random = np.random.default_rng(5)
    for beat in (60.0 / 72.0, 0.6, 0.5):
        beats = NoteBeats(50.0, 200.0)
        tune = [(1.0 + n * beat + random.normal(0.0, 0.012), 60 + (0, 0, 1, 3, 3, 1, 0)[n]) for n in range(7)]
        while beats.seconds < 1.0 + 6.0 * beat:
            for at, note in tune:
                if beats.seconds <= at < beats.seconds + 0.02:
                    beats.note(at, note, 0.7)
            beats.step()
        beats.filter.read()
        assert beats.filter.sureness > 0.8
        assert beats.filter.period == pytest.approx(beat, rel=0.04)


def test_notes_at_random_are_not_followed() -> None:
    random = np.random.default_rng(3)
    times = np.cumsum(random.exponential(0.25, 100))
    notes = [(float(at), int(random.integers(40, 80)), float(random.uniform(0.3, 0.8))) for at in times]
    rows = followed(notes)
    assert np.mean(rows[:, 3] > SURE) < 0.1


def test_what_is_no_number_is_silence_and_the_beat_is_found_after_it() -> None:
    random, sound = np.random.default_rng(1), np.zeros(20 * SOUND_RATE, np.float32)
    for first in range(0, len(sound) - 2000, SOUND_RATE * 6 // 10):
        sound[first : first + 2000] = 0.3 * random.standard_normal(2000) * np.exp(-np.arange(2000) / 500.0)
    sound[SOUND_RATE : SOUND_RATE + 50] = np.nan
    follower = SoundBeats(60.0, 180.0)
    for first in range(0, len(sound), HOP):
        follower.feed(sound[first : first + HOP])
    follower.filter.read()
    assert follower.heard
    assert follower.filter.sureness > SURE
    assert 60.0 / follower.filter.period == pytest.approx(100.0, rel=0.03)


@pytest.mark.parametrize("kind", ["noise", "drone", "silence"])
def test_noise_a_drone_and_silence_are_not_followed(kind: str) -> None:
    time = np.arange(20 * SOUND_RATE) / SOUND_RATE
    made = {
        "noise": 0.1 * np.random.default_rng(1).standard_normal(len(time)),
        "drone": 0.2 * np.sin(2.0 * np.pi * 110.0 * time),
        "silence": np.zeros(len(time)),
    }
    beats = SoundBeats(60.0, 180.0)
    sure = []
    for first in range(0, len(time), HOP):
        beats.feed(made[kind][first : first + HOP].astype(np.float32))
        beats.filter.read()
        sure.append(beats.filter.sureness if beats.heard else 0.0)
        assert 60.0 * 0.97 <= 60.0 / beats.filter.period <= 180.0 * 1.03
    assert max(sure) < SURE


@pytest.mark.parametrize("bpm", [84.0, 112.0])
def test_a_drum_is_followed_from_its_sound_through_the_silence_between_strokes(bpm: float) -> None:
    random, beats = np.random.default_rng(2), beats_of(np.full(40, bpm))
    sound = np.zeros(round((beats[-1] + 1.0) * SOUND_RATE))
    for place, at in enumerate(beats):
        first, size = round(at * SOUND_RATE), 4000
        fall = np.exp(-np.arange(size) / 700.0)
        low = np.sin(2.0 * np.pi * 60.0 * np.arange(size) / SOUND_RATE)
        sound[first : first + size] += 0.5 * fall * (low if place % 2 == 0 else random.standard_normal(size))
    follower, count, rows = SoundBeats(60.0, 180.0), BeatCounter(), []
    for first in range(0, len(sound), HOP):
        for _ in range(follower.feed(sound[first : first + HOP].astype(np.float32))):
            follower.filter.read()
            count.advance(HOP / SOUND_RATE, follower.filter, BEHIND)
            rows.append((follower.seconds + BEHIND, count.beat))
    assert np.median(np.abs(errors(np.array(rows), beats, 10.0))) < 0.12
