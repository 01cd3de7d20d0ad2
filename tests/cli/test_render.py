"""`antiphon render`: patches and timed events, to the sample."""

import errno
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests import accepted, noteclick
from tests.cli.conftest import Command
from tests.files.test_studio import schema

from antiphon.files.scores import midifile
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import UsageError
from antiphon.kernel.session.commands import AwaitPlayer, Beat, Sample, SetParam
from antiphon.offline.event_file import parse_events
from antiphon.testing import sound as audio

GATE = """format = 1
tempo = 60
[nodes.level]
type = "gain"
gain = {gain}
[wires]
"in" = "level"
"level" = "out"
"""


def events(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("\r\n".join(json.dumps(line) for line in lines) + "\n", "utf-8-sig")  # as Windows' editors do
    return path


def test_a_patch_gives_back_what_goes_through_it(antiphon: Command, tmp_path: Path) -> None:
    x = audio.noise(30_001, 2, -20.0)
    audio.write(tmp_path / "in.wav", x, 44100, "FLOAT")
    done = antiphon("render", "through", "--in", "in.wav", "--out", "out.wav", "--fade", "0")
    assert (done.code, done.err) == (0, "")
    y, rate = audio.read(tmp_path / "out.wav")
    assert rate == 44100
    assert np.array_equal(y, x)


STRIPS = """format = 1
[nodes.lead]
type = "tone"
frequency = 330.0
level = 0.1
[nodes.aux]
type = "sampler"
pads = "pitch"
base = 57
s = "pluck"
[nodes.mid]
type = "limiter"
[wires]
"lead" = "out"
"aux" = "out"
"in" = "mid"
"mid" = "out"
"""


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    (tmp_path / "strips.toml").write_text(STRIPS)
    audio.write(tmp_path / "in.wav", audio.noise(22_057, 1, -40.0), 22050, "FLOAT")
    song = MidiTrack("keys", (MidiNote(0.0, 1.0, 57, 0.8), MidiNote(1.0, 1.0, 60, 0.8)))
    midifile.write(tmp_path / "song.mid", [song], [(0.0, 150.0)], signatures=[(0.0, 3, 4)])
    return tmp_path


STEMS = ("render", "strips.toml", "--in", "in.wav", "--events", "song.mid", "--stems", "stems")


def test_the_strips_of_a_patch_are_tracks_that_sum_to_its_sound(antiphon: Command, strips: Path) -> None:
    done = antiphon(*STEMS, "--out", "out.wav", "--fade", "0")
    assert (done.code, done.err) == (0, "")
    folder, (whole, rate) = strips / "stems", audio.read(strips / "out.wav")
    listed = json.loads((folder / "tracks.json").read_text())["tracks"]
    assert [one["name"] for one in listed] == ["input", "output", "lead", "aux", "mid"]
    sounds = {one["name"]: audio.read(folder / one["file"])[0] for one in listed}
    assert {(sound.shape[1], rate) for sound in sounds.values()} == {(whole.shape[1], 22050)}
    np.testing.assert_allclose(sounds["lead"] + sounds["aux"] + sounds["mid"], whole, atol=1e-6)
    np.testing.assert_array_equal(sounds["output"], whole)
    x = audio.read(strips / "in.wav")[0]
    np.testing.assert_array_equal(sounds["input"][0, : x.shape[1]], x[0])  # on time with what is made of it
    *_, track = midifile.read(folder / "aux_.mid").tracks
    assert [(note.number, note.start) for note in track.notes] == [(57, 0.0), (60, 1.0)]
    here, before = (sounds["aux"][:, round(at * rate) :][:, : rate // 50] for at in (0.4, 0.38))
    assert audio.level(here) > audio.level(before) + 3.0
    with zipfile.ZipFile(folder / "set.dawproject") as archive:
        project = archive.read("project.xml").decode()
    schema().validate(project)
    assert 'numerator="3"' in project
    assert {f'path="{one["file"]}"' in project for one in listed} == {True}
    assert "  TEMPO 150 3 4" in (folder / "set.rpp").read_text().splitlines()


def test_a_metronome_counts_the_bars_of_a_song(antiphon: Command, strips: Path) -> None:
    song = [(0.0, 4, 4), (4.0, 3, 4), (10.0, 4, 4)]
    notes = MidiTrack("", tuple(MidiNote(float(n), 0.5, 60) for n in range(15)))
    midifile.write(strips / "song.mid", [notes], 120.0, signatures=song)
    patch = 'format = 1\nname = "m"\n[nodes.m]\ntype = "metronome"\n[nodes.keys]\ntype = "synth"\n'
    patch += '[wires]\n"m" = "out"\n'
    (strips / "m.toml").write_text(patch)
    assert antiphon("render", "m.toml", "--events", "song.mid", "--out", "m.wav", "--fade", "0").code == 0
    heard, rate = audio.read(strips / "m.wav")
    loud = [n for n in range(15) if abs(heard[0, n * rate // 2 : n * rate // 2 + 9]).max() > 0.45]
    assert loud == [0, 4, 7, 10, 14]


def test_tracks_of_a_patch_go_over_nothing_and_are_whole_or_not_there(
    antiphon: Command, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (strips / "stems").mkdir()
    (strips / "stems" / "mine.txt").touch()
    assert "stems holds files already (mine.txt)" in antiphon(*STEMS, "--out", "out.wav").complaint
    said = antiphon(*STEMS, "--out", "stems/lead.wav", "--force").complaint
    assert said == "--stems: stems/lead.wav would be among the tracks in stems; name it outside of that folder"
    said = antiphon(*STEMS[:-1], "both.wav", "--out", "./both.wav").complaint
    assert said == "--stems: both.wav is the file to write too; name another folder"
    assert not (strips / "both.wav").exists()
    assert "--stems takes a folder" in antiphon(*STEMS[:-1], "", "--out", "out.wav", "--force").complaint
    assert "--stems goes with one --out" in antiphon(*STEMS, "--out-dir", "many").complaint
    write = os.pwrite

    for most in (1000, -1):  # as sound comes, and at the beginning

        def full(fd: int, data: bytes, at: int, most: int = most) -> int:
            if at > most:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(fd, data, at)

        monkeypatch.setattr(os, "pwrite", full)
        done = antiphon(*STEMS, "--out", "out.wav", "--force")
        assert done.code == 2
        assert done.complaint.startswith("cannot write the tracks in stems: no space left on device; free some space")
        assert not (strips / "out.wav").exists()
        assert [path.name for path in (strips / "stems").iterdir()] == ["mine.txt"]


PAIRS = """format = 1
[nodes.half]
type = "gain"
gain = 0.5
[nodes.metronome]
on = true
[wires]
"in" = ["half", "out.7-8"]
"half" = ["out", "out.3-4"]
"metronome" = "out.cue"
"""


@pytest.mark.parametrize(("options", "channels"), [((), 8), (("--cue", "5-6"), 8), (("--cue", "9-10"), 10)])
def test_pairs_are_channels_of_the_file_and_the_click_is_on_the_cue_alone(
    antiphon: Command, tmp_path: Path, options: tuple[str, ...], channels: int
) -> None:
    (tmp_path / "pairs.toml").write_text(PAIRS)
    audio.write(tmp_path / "in.wav", np.full((1, 48000), 0.5, np.float32), subtype="FLOAT")
    made = ("render", "pairs.toml", "--in", "in.wav", "--out", "out.wav", "--fade", "0", "--tail", "0")
    assert antiphon(*made, *options).code == 0
    y, _ = audio.read(tmp_path / "out.wav")
    assert len(y) == channels
    for channel, level in ((0, 0.25), (1, 0.25), (2, 0.25), (3, 0.25), (6, 0.5), (7, 0.5)):
        assert (y[channel] == level).all(), channel
    cue = [int(option.split("-")[0]) - 1 for option in options[1:]]
    silent = {4, 5, 8, 9} & set(range(channels)) - {place + side for place in cue for side in (0, 1)}
    assert not y[sorted(silent)].any()
    for place in cue:  # the clicks of 120 bpm, at 0 s and 0.5 s
        assert np.array_equal(y[place], y[place + 1])
        loud = np.flatnonzero(np.abs(y[place]) > 0.1)
        assert (loud[0], loud[loud > 12000][0]) == (0, 24000)


@pytest.mark.parametrize("block", [32, 2048])
def test_events_are_heard_at_their_sample_whatever_the_block(antiphon: Command, tmp_path: Path, block: int) -> None:
    (tmp_path / "gate.toml").write_text(GATE.format(gain=0.0))
    audio.write(tmp_path / "in.wav", np.full((2, 96_000), 0.5, np.float32), subtype="FLOAT")
    at = [1, 4096, 30_000, 70_001]
    lines = []
    for n in at:
        lines.append({"sample": n, "address": "/node/level/gain", "args": [1]})
        lines.append({"sample": n + 1000, "address": "/node/level/gain", "args": [0]})
    # by seconds and by beat: a beat is a second in this patch
    lines.append({"time": 1.75, "address": "/node/level/gain", "args": [1]})
    lines.append({"beat": 1.8, "address": "/node/level/gain", "args": [0]})
    events(tmp_path / "e.jsonl", *lines)
    done = antiphon("render", "gate.toml", "--in", "in.wav", "--out", "o.wav", "--events", "e.jsonl", "--block", block)
    assert (done.code, done.err) == (0, "")
    y, _ = audio.read(tmp_path / "o.wav")
    # the level moves from its very sample on, smoothed: the first frame of the ramp is already above nothing
    assert audio.onsets(y, threshold=1e-6) == [*at, 84_000]
    rest = np.flatnonzero(np.abs(y[0]) > 1e-6)
    assert 0 <= rest[-1] - 86_400 < 400


NOTES = """format = 1
tempo = 60
[nodes.k]
type = "noteclick"
[nodes.m]
type = "noteclick"
[wires]
"k" = "out"
"m" = "out"
"""


def test_notes_are_heard_at_their_sample_whatever_the_block(antiphon: Command, tmp_path: Path) -> None:
    folder = Path(os.environ["ANTIPHON_HOME"]) / "data" / "plugins" / "noteclick"
    folder.mkdir(parents=True)
    shutil.copy(Path(noteclick.__file__), folder / "__init__.py")
    (tmp_path / "keys.toml").write_text(NOTES)
    events(
        tmp_path / "e.jsonl",
        {"sample": 1001, "address": "/note/on", "args": [60, 127, 2]},
        {"sample": 1002, "address": "/cc", "args": [64, 1, "k"]},
        {"time": 0.5, "address": "/bend", "args": [-1.0, 3, "m"]},
        {"beat": 0.75, "address": "/note/off", "args": [60, "m", 2]},
    )
    click = noteclick.click
    expected = [
        (1001, 2 * click("on", 60, 1.0, 2)),
        (1002, click("control", 64, 1.0, 1)),
        (24000, click("bend", 0, -1.0, 3)),
        (36000, click("off", 60, 0.0, 2)),
    ]
    for block in (32, 2048):
        done = antiphon(
            "render", "keys.toml", "--out", "o.wav", "--seconds", 1, "--events", "e.jsonl", "--block", block,
            "--force",
        )  # fmt: skip
        assert (done.code, done.err) == (0, "")
        y, _ = audio.read(tmp_path / "o.wav")
        assert [int(n) for n in np.flatnonzero(y[0])] == [n for n, _ in expected]
        assert [float(y[0, n]) for n, _ in expected] == pytest.approx([level for _, level in expected], abs=1e-4)


LOUD = """format = 1
[nodes.metronome]
on = true
level = 1
[nodes.loud]
type = "gain"
gain = 2
[nodes.louder]
type = "gain"
gain = 2
[wires]
"metronome" = "loud"
"loud" = "louder"
"louder" = "out"
"""


def test_changes_of_parameters_alone_are_no_notes_that_limit_a_file(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "loud.toml").write_text(LOUD)
    events(tmp_path / "e.jsonl", {"sample": 0, "address": "/node/loud/gain", "args": [2.0]})
    made = []
    for name, more in (("a.wav", ()), ("b.wav", ("--events", "e.jsonl"))):
        done = antiphon("render", "loud.toml", "--out", name, "--seconds", 1, "--block", 256, *more)
        assert done.code == 0, done.err
        made.append(audio.read(tmp_path / name)[0])
    assert np.abs(made[0]).max() > 0.95  # above what a file of notes is limited to
    assert np.array_equal(*made)


def test_seconds_cut_the_input_or_go_on_after_it(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(48_000, 2))
    for seconds, frames in (("0.5", 24_000), ("1.5", 72_000), ("0", 0)):
        line = ("--in", "in.wav", "--out", "o.wav", "--seconds", seconds, "--force")
        assert antiphon("render", "through", *line).code == 0
        assert audio.read(tmp_path / "o.wav")[0].shape == (2, frames)


@pytest.mark.usefixtures("plugins_read_once")
def test_a_bad_line_is_refused_with_its_number(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(100))

    def answer(line: str) -> str:
        (tmp_path / "e.jsonl").write_text('{"time": 0, "address": "/node/gain/gain", "args": [1]}\n' + line + "\n")
        done = antiphon("render", "through", "--in", "in.wav", "--out", "out.wav", "--events", "e.jsonl")
        assert done.code == 2
        assert sorted(os.listdir(tmp_path)) == ["e.jsonl", "in.wav"]
        return done.complaint

    accepted.compare(__file__, answer)
    assert answer("[" * 30_000).startswith("e.jsonl line 2: it is not JSON")
    assert answer(f'{{"time": 1, "address": "{"x" * 70_000}"}}').startswith("e.jsonl line 2: the line is longer than")


LEVEL = Param("gain", low=0.0, high=2.0)


def find(node: str, name: str) -> Param:
    if (node, name) != ("gain", "gain"):
        raise UsageError("no such parameter")
    return LEVEL


def test_times_in_three_ways() -> None:
    lines = [
        '{"time": 0.5, "address": "/node/gain/gain", "args": [1, 0.25]}',
        "",
        '{"sample": 7, "address": "/node/gain/gain/norm", "args": [0.25]}',
        '{"beat": 2.5, "address": "/node/gain/gain", "args": ["1.5"]}',
        '{"beat": 4, "address": "/transport/wait", "args": [8]}',
    ]
    assert parse_events(lines, 48000, find, "e") == [
        SetParam("gain", "gain", 1.0, 0.25, Sample(24000)),
        SetParam("gain", "gain", 0.5, 0.0, Sample(7)),
        SetParam("gain", "gain", 1.5, 0.0, Beat(2.5)),
        AwaitPlayer(0, 8.0, Beat(4.0)),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "time": JSON,
            "sample": JSON,
            "beat": JSON,
            "address": st.sampled_from(
                ["/node/gain/gain", "/node/gain/gain/norm", "/tempo", "/beat", "/", "/note/on", "/cc"]
            )
            | JSON,
            "args": st.lists(JSON, max_size=3) | JSON,
        },
    )
)
def test_any_event_is_a_command_or_a_sentence(event: dict[str, Any]) -> None:
    try:
        (command,) = parse_events([json.dumps(event)], 48000, find, "e.jsonl")
    except UsageError as error:
        assert str(error).startswith("e.jsonl line 1: ")  # noqa: PT017
    else:
        assert command.when is not None


def test_a_patch_whose_players_had_no_notes_says_that_nothing_changed(antiphon: Command, strips: Path) -> None:
    alone = STRIPS.replace('"lead" = "out"\n', "")
    (strips / "strips.toml").write_text(alone)
    done = antiphon("render", "strips.toml", "--in", "in.wav", "--out", "out.wav")
    assert done.code == 0
    assert "unchanged: the sound is that of in.wav, because aux had no notes to play" in done.err
    (strips / "strips.toml").write_text(alone.replace('"in" = "mid"\n', ""))
    done = antiphon("render", "strips.toml", "--in", "in.wav", "--out", "none.wav")
    assert "silent, because aux had no notes to play" in done.err
    assert "unchanged" not in done.err
    for played in (("--events", "song.mid"),), ():
        (strips / "strips.toml").write_text(alone if played else STRIPS)
        words = [word for pair in played for word in pair]
        done = antiphon("render", "strips.toml", "--in", "in.wav", "--out", "out.wav", "--force", *words)
        assert (done.code, "unchanged" in done.err) == (0, False)


def test_rate_resamples_a_render(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.5))
    done = antiphon("render", "through", "--in", "in.wav", "--out", "o.wav", "--rate", "16000", "--tail", "0")
    assert done.out == "wrote o.wav: 0:00.5, 16 kHz, stereo, from the patch Through and in.wav, resampled from 48 kHz\n"
    y, rate = audio.read(tmp_path / "o.wav")
    assert (rate, y.shape) == (16000, (2, 8000))
