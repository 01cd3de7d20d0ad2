"""Notes on files: a MIDI file for what takes notes, a MIDI file from what gives them."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import mido
import numpy as np
import pytest
from tests import noteclick
from tests.cli.conftest import Command

from antiphon.cli.plugins import new_plugin
from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiTrack
from antiphon.files.scores.midifile import read, write
from antiphon.kernel.contract.event import Event
from antiphon.newplugin import SHAPES
from antiphon.offline.note_file import read as read_score, write as write_score
from antiphon.testing import sound as audio
from antiphon_pyo.info import PYO

TEMPO = ((0.0, 90.0), (4.0, 133.0))
_numbers = count()
NOTES = tuple(MidiNote(n / 2, 0.5, 50 + n, (1 + n) / 127, 1 + n % 3) for n in range(24))


@pytest.fixture
def shaped(antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a plugin of a shape among the performer's own, and gives its name."""

    def make(shape: str) -> str:
        # a module of its own: another test's is imported already
        name = f"mine_{next(_numbers)}_{shape.replace('-', '_')}"
        new_plugin(name, shape)
        return name

    return make


def test_notes_to_notes_keep_time_tempo_and_channels(
    antiphon: Command, shaped: Callable[[str], str], tmp_path: Path
) -> None:
    pedal = MidiControlChange(1.0, "control", 64, 1.0, 2)
    tracks = [MidiTrack(f"part {c}", tuple(n for n in NOTES if n.channel == c), c) for c in (1, 2, 3)]
    tracks = [MidiTrack("a song"), tracks[0], MidiTrack("part 2", tracks[1].notes, 2, (pedal,)), tracks[2]]
    write(tmp_path / "in.mid", tracks, TEMPO)
    name = shaped("notes-notes")
    done = antiphon("run", name, "in.mid", "out.mid", "-p", "interval=0")
    assert (done.code, done.err) == (0, "")
    assert "wrote out.mid: 0:06.3, " in done.out
    before, after = read(tmp_path / "in.mid"), read(tmp_path / "out.mid")
    assert (after.tempo, after.signatures, after.ticks) == (before.tempo, before.signatures, before.ticks)
    assert [(t.name, t.program, t.controls) for t in after.tracks] == [
        (t.name, t.program, t.controls) for t in before.tracks
    ]
    for old, new in zip(before.tracks, after.tracks, strict=True):
        assert [(n.start, n.length, n.number, n.channel) for n in new.notes] == [
            (n.start, n.length, n.number, n.channel) for n in old.notes
        ]


@pytest.mark.parametrize("frames", ["256", "1024"])
def test_notes_that_no_block_takes_are_refused(antiphon: Command, tmp_path: Path, frames: str) -> None:
    crowd = tuple(MidiControlChange(1.0, "control", n % 100, 0.5) for n in range(1200))
    write(tmp_path / "in.mid", [MidiTrack("", (MidiNote(1.0, 0.5, 60),), 1, crowd)], TEMPO)
    done = antiphon("run", "transpose", "in.mid", "out.mid", "--block", frames)
    assert done.code == 2
    assert "in.mid has more notes at once than a block takes" in done.err
    assert "give a smaller --block" in done.err
    assert not (tmp_path / "out.mid").exists()


@pytest.mark.parametrize(
    ("by", "keys"), [((0, 0), ("F#m", "Bb")), ((4, 4), ("Bbm", "D")), ((-1, -1), ("Fm", "A")), ((3, 4), ("F#m", "Bb"))]
)
def test_releases_are_kept_and_key_signatures_move_with_all_notes(
    tmp_path: Path, by: tuple[int, int], keys: tuple[str, str]
) -> None:
    # a chord, whose lower note becomes the upper's number
    notes = (MidiNote(0.0, 2.0, 60, 0.5, 1, 0), MidiNote(1.0, 1.0, 64, 0.5, 1, 127))
    write(tmp_path / "in.mid", [MidiTrack("", notes)], keys=[(0.0, "F#m"), (1.0, "Bb")])
    score = read_score(tmp_path / "in.mid", 48000)
    moved = [
        (at, Event(event.kind, 0, event.number + by[event.number == 64], event.value)) for at, event in score.events
    ]
    assert write_score(tmp_path / "out.mid", moved, score.frames, 48000, score.song) == 2
    after = read(tmp_path / "out.mid")
    assert after.keys == ((0.0, keys[0]), (1.0, keys[1]))
    assert [note.release for note in after.tracks[-1].notes] == [0, 127]


@pytest.mark.parametrize("block", ["32", "2048"])
def test_sound_to_notes(antiphon: Command, shaped: Callable[[str], str], tmp_path: Path, block: str) -> None:
    x = np.zeros((1, 96_000), np.float32)
    x[:, 24_000:48_000] = 0.5
    x[:, 72_000:] = 0.5
    audio.write(tmp_path / "in.wav", x)
    done = antiphon("run", shaped("sound-notes"), "in.wav", "out.mid", "--block", block)
    assert done.out.endswith("wrote out.mid: 0:02.0, 2 notes, from in.wav\n")
    song = read(tmp_path / "out.mid")
    (notes,) = [track.notes for track in song.tracks if track.notes]
    # the second is ended by the end; 120 bpm, two beats a second
    assert [(n.start, n.end) for n in notes] == [(1.0, pytest.approx(2.04, abs=0.002)), (3.0, 4.0)]


@pytest.mark.parametrize("shape", list(SHAPES))
def test_the_command_a_new_plugin_ends_with_works(
    antiphon: Command, shaped: Callable[[str], str], tmp_path: Path, shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    audio.write(tmp_path / "IN.wav", audio.sine(440.0, 0.25))
    audio.write(tmp_path / "FILE.wav", audio.sine(330.0, 0.25))
    write(tmp_path / "IN.mid", [MidiTrack("tune", NOTES)])
    name = shaped(shape)
    command = capsys.readouterr().out.partition("`antiphon run ")[2].partition("`")[0]
    done = antiphon("run", *command.split())
    assert command.startswith(f"{name} ")
    assert done.code == 0
    assert done.out.startswith("wrote OUT.")


def test_a_folder_of_midi_files(antiphon: Command, shaped: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    for name in ("a.mid", "b.midi"):
        write(tmp_path / "songs" / name, [MidiTrack("", NOTES)])
    (tmp_path / "songs" / "c.wav").write_text("no song")
    assert antiphon("run", shaped("notes-notes"), "songs", "--out-dir", "out").code == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mid", "b.midi"]


def test_a_score_is_on_its_frames(tmp_path: Path) -> None:
    track = MidiTrack("", (MidiNote(0.0, 4.0, 60, 1.0), MidiNote(6.0, 1.0, 61)), None)
    write(tmp_path / "a.mid", [track], [(0.0, 60.0), (4.0, 120.0)])
    score = read_score(tmp_path / "a.mid", 48000)
    assert [(at, e.kind, e.number) for at, e in score.events] == [
        (0, "on", 60),
        (192_000, "off", 60),
        (240_000, "on", 61),
        (264_000, "off", 61),
    ]
    assert score.tempo == ((0, 60.0), (192_000, 120.0))
    assert score.frames == 264_001


@pytest.mark.skipif(not PYO.installed, reason="pyo is not installed")
def test_what_accompany_writes_can_be_heard(antiphon: Command, tmp_path: Path) -> None:
    tune = MidiTrack("melody", tuple(MidiNote(float(n), 1.0, 60 + n % 5) for n in range(8)))
    write(tmp_path / "tune.mid", [tune], 240.0)
    assert antiphon("run", "accompany", "tune.mid", "both.mid").code == 0
    for line, out in (
        ("run synth both.mid run.wav -p instrument=pluck", "run.wav"),
        ("render keys --events both.mid --out render.wav", "render.wav"),
    ):
        done = antiphon(*line.split())
        assert (done.code, done.err) == (0, "")
        y, rate = audio.read(tmp_path / out)
        assert (rate, y.shape[0]) == (48000, 2)
        assert 96_000 < y.shape[1] <= 96_000 + 480_001 + 256, "two seconds, and what sounds on"
        assert audio.peak(y[:, :4800]) > 0.01, "the first note"
        assert audio.peak(y[:, -24:]) < 1e-3


def test_run_synth_song_with_drums_adds_kit(antiphon: Command, tmp_path: Path) -> None:
    tune = MidiTrack("tune", tuple(MidiNote(float(n), 1.0, 60 + n) for n in range(4)))
    beat = MidiTrack("beat", tuple(MidiNote(n / 2, 0.25, 36 + 2 * (n % 2), channel=10) for n in range(8)))
    sounds = []
    for name, tracks, more in (
        ("song", [tune, beat], ()),
        ("tune", [tune], ()),
        ("beat", [beat], ("-p", "instrument=drums")),
    ):
        write(tmp_path / f"{name}.mid", tracks, 240.0)
        level = ("-p", "level=-20", *more, "--no-limit", "--tail", "0", "--fade", "0")
        done = antiphon("run", "synth", f"{name}.mid", f"{name}.wav", *level)
        assert (done.code, done.err) == (0, "")
        sounds.append(audio.read(tmp_path / f"{name}.wav")[0][:, :40000])
    song, pitched, drums = sounds
    assert audio.peak(drums) > 0.01
    np.testing.assert_allclose(song, pitched + drums, atol=1e-4)


def song_file(path: Path, kind: int) -> list[tuple[int, str, int, float, int]]:
    """Writes a song of type 0 or 1 with a tempo that changes, and gives its events by sample."""
    conductor = [
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.MetaMessage("set_tempo", tempo=250_000, time=960),
    ]
    first = [
        mido.Message("program_change", program=33, channel=1, time=0),
        mido.Message("note_on", note=60, velocity=127, channel=1, time=480),
        mido.Message("control_change", control=64, value=127, channel=1, time=240),
        mido.Message("note_off", note=60, channel=1, time=480),
    ]
    second = [
        mido.Message("note_on", note=61, velocity=64, channel=9, time=1000),
        mido.Message("pitchwheel", pitch=-8192, channel=9, time=20),
        mido.Message("note_on", note=61, velocity=0, channel=9, time=380),
    ]
    parts = [conductor, first, second]
    if kind == 0:
        parts = [list(mido.merge_tracks([mido.MidiTrack(part) for part in parts]))]
    mido.MidiFile(type=kind, ticks_per_beat=480, tracks=[mido.MidiTrack(part) for part in parts]).save(path)
    return [
        (0, "program", 33, 0.0, 2),
        (24_000, "on", 60, 1.0, 2),
        (36_000, "control", 64, 1.0, 2),
        (49_000, "on", 61, 64 / 127, 10),
        (49_500, "bend", 0, -1.0, 10),
        (54_000, "off", 60, 0.0, 2),
        (59_000, "off", 61, 0.0, 10),
    ]


@pytest.mark.parametrize(("kind", "block"), [(0, "32"), (1, "0"), (1, "2048")])
def test_a_midi_file_is_the_input_of_a_render(
    antiphon: Command, clicks: str, tmp_path: Path, kind: int, block: str
) -> None:
    expected = [(at, noteclick.click(*event)) for at, *event in song_file(tmp_path / "song.mid", kind)]
    done = antiphon("render", clicks, "--in", "song.mid", "--out", "in.wav", "--block", block, "--fade", "0")
    assert (done.code, done.err) == (0, "")
    assert "from the patch clicks and song.mid" in done.out
    y, rate = audio.read(tmp_path / "in.wav")
    assert (rate, y.shape) == (48000, (2, 59_001))
    assert [(int(n), pytest.approx(float(y[0, n]), abs=1e-4)) for n in np.flatnonzero(y[0])] == expected
    done = antiphon("render", clicks, "--events", "song.mid", "--out", "events.wav", "--block", block, "--fade", "0")
    assert done.code == 0
    assert np.array_equal(audio.read(tmp_path / "events.wav")[0], y)


def test_a_midi_file_and_timed_messages_together(antiphon: Command, clicks: str, tmp_path: Path) -> None:
    song_file(tmp_path / "song.mid", 1)
    # by the file's tempo, 120 until beat 2 and 240 from there
    (tmp_path / "e.jsonl").write_text('{"beat": 2.25, "address": "/note/on", "args": [1, 127]}')
    done = antiphon("render", clicks, "--in", "song.mid", "--events", "e.jsonl", "--out", "o.wav")
    assert done.code == 0
    y, _ = audio.read(tmp_path / "o.wav")
    assert y[0, 51_000] == pytest.approx(noteclick.click("on", 1, 1.0, 1), abs=1e-4)


def test_folders_and_several_midi_files_are_rendered(antiphon: Command, clicks: str, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    song_file(tmp_path / "songs" / "a.mid", 0)
    song_file(tmp_path / "songs" / "b.midi", 1)
    (tmp_path / "songs" / "notes.txt").write_text("no song")
    (tmp_path / "bad.mid").write_bytes(b"MThd, or is it")
    audio.write(tmp_path / "c.wav", audio.sine(440.0, 0.25))
    line = ("render", clicks, "--in", "songs", "--in", "c.wav", "--in", "bad.mid", "--out-dir", "out")
    done = antiphon(*line)
    assert done.code == 1
    assert "bad.mid is not a MIDI file that can be read" in done.err
    assert "1 of 4 files could not be rendered" in done.err
    assert sorted(os.listdir(tmp_path / "out")) == ["a.wav", "b.wav", "c.wav"]
    a, b = (audio.read(tmp_path / "out" / name)[0] for name in ("a.wav", "b.wav"))
    assert np.array_equal(a, b)
    assert "out/a.wav is there already" in antiphon(*line).err
