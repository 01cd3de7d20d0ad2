"""`antiphon render set.py`: a live script to sound, stems and MIDI, by the code that plays patches and events."""

import json
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest
from tests import accepted
from tests.cli.conftest import Command

from antiphon.files.scores import midifile
from antiphon.live import reading
from antiphon.live.performance import Performance
from antiphon.live.records import LiveEvent, ScriptError
from antiphon.offline.script_run import ScriptProcess, frames_of
from antiphon.operations import render
from antiphon.signal.loudness import CEILING, LoudnessMeter, peak_curve
from antiphon.testing import sound as audio

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plugins_read_once")]

RATE = 48000
PATCH = """format = 1
tempo = 120
[nodes.drums]
type = "sampler"
library = "{library}"
[nodes.other]
type = "sampler"
library = "{library}"
pads = "pitch"
s = "tick"
[nodes.level]
type = "gain"
[wires]
"drums" = "level"
"other" = "level"
"level" = "out"
"""
IMPORTS = 'from antiphon.live import *\npatch("clicks.toml")\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a patch of samplers whose sounds are one frame long, of different heights."""
    for name, height in (("tick", 0.125), ("tock", 0.25)):
        (tmp_path / "kit" / name).mkdir(parents=True)
        sound = np.zeros((1, 480), np.float32)
        sound[0, 0] = height
        audio.write(tmp_path / "kit" / name / "0.wav", sound, RATE, "FLOAT")
    (tmp_path / "clicks.toml").write_text(PATCH.format(library=tmp_path / "kit"))
    return tmp_path


def script(place: Path, text: str) -> str:
    (place / "set.py").write_text(IMPORTS + text, "utf-8-sig")
    return "set.py"


def clicks(path: Path) -> list[tuple[int, float]]:
    """(frame, height) of every frame that is not silent."""
    heard, rate = audio.read(path)
    assert rate == RATE
    return [(int(n), round(float(heard[0, n]), 3)) for n in np.flatnonzero(np.abs(heard[0]) > 1e-4)]


def frame(beat: F, bpm: float = 120.0) -> int:
    return round(float(beat) * 60.0 / bpm * RATE)


LOOPS = """
seed(5)
track("beat", "tick*3 [tock tick](3,8,2)", on="drums")
@loop(on="drums")
def l():
    sample("tock", at=between(0, 1/3))
    yield pick([1/3, 1/5, 3/7])
"""


def test_onsets_are_on_their_samples(antiphon: Command, place: Path) -> None:
    done = antiphon("render", script(place, LOOPS), "--bars", "4", "--out", "out.wav", "--tail", "0", "--fade", "0")
    assert (done.code, done.err) == (0, "")
    with ScriptProcess("set.py") as process:
        events = process.play(F(16), 120.0)
    assert len(events) > 50
    heights = {"tick": 0.125, "tock": 0.25}
    expected: dict[int, float] = {}
    for event in events:
        at = frame(event.beat)
        expected[at] = expected.get(at, 0.0) + heights[str(event.args[1])]
    assert clicks(place / "out.wav") == sorted((at, height) for at, height in expected.items() if at < frame(F(16)))
    heard, _ = audio.read(place / "out.wav")
    assert heard.shape == (2, frame(F(16)))


def test_what_a_script_plays_a_file_of_events_plays(antiphon: Command, place: Path) -> None:
    name = script(place, LOOPS + 'node("level").gain = saw.range(0.5, 1)\n')
    assert antiphon("render", name, "--bars", "2", "--out", "a.wav", "--tail", "0", "--fade", "0").code == 0
    with ScriptProcess(name) as process:
        events = process.play(F(8), 120.0)
    lines = [json.dumps({"beat": float(e.beat), "address": e.address, "args": list(e.args)}) for e in events]
    (place / "e.jsonl").write_text("\n".join(lines))
    given = ("--events", "e.jsonl", "--seconds", "4", "--out", "b.wav", "--fade", "0")
    assert antiphon("render", "clicks.toml", *given).code == 0
    assert np.array_equal(audio.read(place / "a.wav")[0], audio.read(place / "b.wav")[0])


def test_tempo_changes_move_what_comes_after(antiphon: Command, place: Path) -> None:
    text = """
tempo(60)
track("beat", "tick*4", on="drums")
@loop
def faster():
    yield 4
    tempo(120)
    yield 4
    tempo(240, over=4)
    stop()
"""
    done = antiphon("render", script(place, text), "--bars", "4", "--out", "out.wav", "--tail", "0", "--fade", "0")
    assert (done.code, done.err) == (0, "")
    found = [at for at, _ in clicks(place / "out.wav")]
    assert found[:9] == [*(RATE * k for k in range(4)), *(RATE * 4 + RATE // 2 * k for k in range(5))]
    gaps = np.diff(found[8:])
    assert len(found) == 16
    assert (np.diff(gaps)[:4] < 0).all()
    assert abs(int(gaps[-1]) - RATE // 4) <= 1
    heard, _ = audio.read(place / "out.wav")
    assert heard.shape[1] == found[-1] + RATE // 4 or abs(heard.shape[1] - found[-1] - RATE // 4) <= 1


def test_stems_sum_to_the_whole(antiphon: Command, place: Path) -> None:
    text = LOOPS + 'track("a/b"[:1] + " ü", "tock", on="drums")\nnode("level").gain = 0.5\n'
    done = antiphon("render", script(place, text), "--bars", "2", "--out", "out.wav", "--stems", "stems", "--tail", "0")
    assert (done.code, done.err) == (0, "")
    stems = sorted((place / "stems").glob("*.wav"))
    with zipfile.ZipFile(place / "stems" / "set.dawproject") as archive:
        project = archive.read("project.xml").decode()
    assert [f'path="{path.name}"' in project for path in stems] == [True] * 3
    assert [f'FILE "{path.name}"' in (place / "stems" / "set.rpp").read_text() for path in stems] == [True] * 3
    assert [path.name for path in stems] == ["a_ü.wav", "beat.wav", "l.wav"]
    whole = audio.read(place / "out.wav")[0]
    total = np.zeros_like(whole)
    for path in stems:
        heard = audio.read(path)[0]
        total[:, : heard.shape[1]] += heard
    assert np.abs(total - whole).max() < 1e-6
    again = antiphon("render", "set.py", "--bars", "2", "--out", "more.wav", "--stems", "stems")
    assert again.code == 2
    assert "--force" in again.complaint


def test_a_script_is_limited_and_at_16_lufs_at_most_unless_that_is_refused(antiphon: Command, place: Path) -> None:
    tone = np.sin(2.0 * np.pi * 997.0 * np.arange(RATE, dtype=np.float32) / RATE)[None]
    audio.write(place / "kit" / "tick" / "0.wav", tone.astype(np.float32), RATE, "FLOAT")
    name, levels = script(place, 'track("beat", "tick*4", on="drums")\n'), []
    for option in ("--no-limit", "--limit", ""):
        line = ("render", name, "--bars", "4", "--out", "out.wav", "--force", "--tail", "0", option)
        assert antiphon(*filter(None, line)).code == 0
        sound = audio.read(place / "out.wav")[0]
        levels.append((LoudnessMeter.of(sound, RATE), float(peak_curve(sound).max())))
    assert levels[0][0] > -12.0
    assert levels[1] == levels[2]
    assert levels[2][0] == pytest.approx(-16.0, abs=0.2)
    assert levels[2][1] < CEILING + 1e-4


def test_a_midi_file_has_the_notes_to_the_tick(antiphon: Command, place: Path) -> None:
    text = """
tempo(100)
track("tune", note("c4 [e4 g4] <a4 b4>(3,8)", velocity=64, legato=0.5), on="other")
track("beat", "tick*4", on="drums")
track("kick", "bd sn", on="drums")
@loop(on="other")
def low():
    play("c2", 1/3)
    yield 2/3
    tempo(120)
"""
    done = antiphon(
        "render", script(place, text), "--bars", "2", "--out", "out.wav", "--midi", "out.mid", "--tail", "0"
    )
    assert done.code == 0
    assert "out.mid is without tick: no drum of General MIDI" in done.err
    song = midifile.read(place / "out.mid")
    tracks = {track.name: track for track in song.tracks}
    assert [(n.start, n.number, n.channel) for n in tracks["kick"].notes] == [
        (0, 36, 10),
        (2, 38, 10),
        (4, 36, 10),
        (6, 38, 10),
    ]
    tick = 1 / song.ticks
    expected = [(F(2, 3) * k, F(1, 3)) for k in range(12)]
    low = tracks["low"].notes
    assert len(low) == 12
    for n, (start, length) in zip(low, expected, strict=True):
        assert abs(n.start - start) < tick
        assert abs(n.length - length) <= tick
        assert n.number == 36
    assert [n.number for n in tracks["tune"].notes] == [60, 64, 67, 69, 69, 69, 60, 64, 67, 71, 71, 71]
    assert {round(n.velocity * 127) for n in tracks["tune"].notes} == {64}
    assert [round(bpm) for _, bpm in song.tempo][:2] == [100, 120]
    assert abs(song.tempo[1][0] - 2 / 3) < tick


def test_a_ramp_of_the_tempo_lasts_as_long_in_midi(tmp_path: Path) -> None:
    events = [
        LiveEvent(F(0), "/tempo", (60,)),
        LiveEvent(F(1), "/note/on", (60, 90, 1)),
        LiveEvent(F(2), "/tempo", (180, 8)),
        LiveEvent(F(6), "/tempo", (40, 4)),
    ]
    assert render.write(tmp_path / "ramp.mid", events, F(16), 120.0, F(7, 2)) == (1, [])
    song = midifile.read(tmp_path / "ramp.mid")
    for beat in (2, 6, 7, 10, 16):
        assert abs(song.seconds(beat) - frames_of(events, F(beat), RATE, 120.0) / RATE) < 1e-4
    assert song.signatures == ((0.0, 7, 8),)


def test_in_midi_a_sound_has_its_length_and_a_drum_of_any_bank_its_key(tmp_path: Path) -> None:
    text = 'from antiphon.live import *\npatch("band")\ntrack("a", s("linn_bd ~"))\n'
    text += 'track("b", note("c4@3 e4").s("<sawtooth piano>").legato("<1 0.5>"))\ntrack("c", note("c4").s("gm_pad"))'
    events = Performance(reading.read("set.py", text)).until(F(8))
    lasting = {(e.source, float(dict(zip(e.args[::2], e.args[1::2], strict=True)).get("lasts", 0))) for e in events}
    assert lasting >= {("a", 0.0), ("b", 3.0), ("b", 1.0), ("b", 1.5), ("b", 0.5), ("c", 4.0)}
    assert render.write(tmp_path / "set.mid", events, F(8), 120.0)[1] == []
    tracks = {track.name: track.notes for track in midifile.read(tmp_path / "set.mid").tracks}
    assert [note.number for note in tracks["a"]] == [36, 36]
    assert [(note.number, note.length) for note in tracks["b"]] == [(60, 3), (64, 1), (60, 1.5), (64, 0.5)]


def test_length_follows_bars_and_meter(place: Path, antiphon: Command) -> None:
    name = script(place, 'meter(3)\ntempo(90)\ntrack("t", "tick*3", on="drums")')
    assert antiphon("render", name, "--bars", "2.5", "--out", "o.wav", "--tail", "0", "--fade", "0").code == 0
    assert audio.read(place / "o.wav")[0].shape[1] == frame(F(15, 2), 90)
    assert [at for at, _ in clicks(place / "o.wav")] == [frame(F(k), 90) for k in range(8)]
    assert frames_of([], F(4), RATE, 120.0) == 2 * RATE


# ---- refusals

BEAT = 'track("t", "tick", on="drums")\n'


def test_a_fault_of_a_script_is_a_line(antiphon: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(text: str) -> str:
        endless = re.search(r"while True|sleep|10 \*\* 9|1024", text)
        monkeypatch.setattr(ScriptProcess.__init__, "__defaults__", (0.3 if endless else 60.0,))
        done = antiphon("render", script(place, text), "--bars", "8", "--out", "out.wav")
        assert done.code == 2
        said, *picture = done.err.splitlines()
        assert not picture or picture[1].strip() == "^"
        assert not list(place.glob("out*"))
        return said.removeprefix("antiphon: ") + (", with a caret" if picture else "")

    accepted.compare(__file__, answer)


def test_a_node_and_a_patch_that_are_not_there_are_said_with_their_lines(antiphon: Command, place: Path) -> None:
    script(place, BEAT + '\n@on_note("othr")\ndef answer(note, velocity):\n    yield 1\n')
    done = antiphon("render", "set.py", "--bars", "1", "--out", "out.wav", "--tail", "0")
    said = "set.py line 5: the patch has no node 'othr', and nothing answers to it; did you mean other?"
    assert said in done.complaint
    (place / "set.py").write_text('from antiphon.live import *\npatch("bnad")\n' + BEAT)
    done = antiphon("render", "set.py", "--bars", "1", "--out", "other.wav")
    assert done.code == 2
    assert "set.py line 2: there is no patch 'bnad'; did you mean band?" in done.complaint


def test_a_sound_that_is_not_there_is_said(antiphon: Command, place: Path) -> None:
    name = script(place, 'track("t", "tick tik", on="drums")')
    done = antiphon("render", name, "--bars", "2", "--out", "out.wav", "--tail", "0")
    assert done.code == 0
    assert done.complaint == (
        "set.py line 3: drums has no s named 'tik', and this note is silent; did you mean tick? there are: tick, tock"
    )
    assert len(clicks(place / "out.wav")) == 2


def test_what_a_script_prints_is_not_its_music(spawn: Callable[..., subprocess.Popen[str]], place: Path) -> None:
    script(place, 'print("hello")\n' + BEAT)
    process = spawn("render", "set.py", "--bars", "1", "--out", "out.wav", "--tail", "0")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err.count("hello") == 1
    assert "hello" not in out
    assert len(clicks(place / "out.wav")) == 1


def test_ctrl_c_ends_the_script_and_leaves_no_file(spawn: Callable[..., subprocess.Popen[str]], place: Path) -> None:
    script(place, BEAT + "print('ready', flush=True)\nimport threading\nthreading.Event().wait(300)\n")
    process = spawn("render", "set.py", "--bars", "1", "--out", "out.wav", "--tail", "0")
    assert process.stderr is not None
    assert process.stderr.readline().strip() == "ready"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not list(place.glob("out*"))


def test_a_script_that_plays_too_much_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr("antiphon.offline.script_run.MAX_EVENTS", 100)
    with (
        ScriptProcess(script(place, 'track("t", "tick*64", on="drums")')) as process,
        pytest.raises(ScriptError, match="plays more than 100 events; render fewer bars"),
    ):
        process.play(F(64), 120.0)


BEYOND = (
    ('.add(shape="-0.3 .6 1.4")', '.set(shape="0 .6 1")', "shape of drums takes 0 to 1"),
    ('.set(pan="0 .5").mul(pan=3)', '.set(pan="0 1")', "pan of drums takes 0 to 1"),
    ('.set(velocity=80).mul(velocity="1 -1 9")', '.set(velocity="80 1 127")', ""),
    ('.set(vowel="a x")', '.set(vowel="a off")', "vowel of drums takes off or a or e"),
)
"""What is computed beyond a range, the nearest to it, and what is said."""


def test_a_value_that_is_computed_beyond_its_range_is_the_nearest(antiphon: Command, place: Path) -> None:
    made = []
    for place_in_row, name in enumerate(("computed", "within")):
        set_ = script(
            place,
            "".join(f'track("{n}", s("tick*6"){row[place_in_row]}, on="drums")\n' for n, row in enumerate(BEYOND)),
        )
        done = antiphon("render", set_, "--bars", "1", "--out", f"{name}.wav", "--tail", "0", "--stems", name)
        assert done.code == 0, done.err
        made.append(([audio.read(place / name / f"{n}.wav")[0] for n in range(len(BEYOND))], done.err))
    (computed, heard), (exact, quiet) = made
    for line, (one, other, (change, _, said)) in enumerate(zip(computed, exact, BEYOND, strict=True), 3):
        np.testing.assert_array_equal(one, other, change)
        assert f"set.py line {line}: {said}" in heard or not said
    assert " takes " not in quiet


HEARING = """
@on_level("in", above=-20)
def answer():
    for name in ("tick", "tock"):
        sample(name)
        yield 1/4
"""


def test_a_script_answers_to_the_level_of_the_input(antiphon: Command, place: Path) -> None:
    sound = np.zeros((1, RATE), np.float32)
    sound[0, RATE // 4 : RATE // 2] = 0.5 * np.sin(np.arange(RATE // 4) * 0.06)
    audio.write(place / "in.wav", sound, RATE, "FLOAT")
    name = script(place, HEARING + 'node("macro").phaser = 3\n')
    for block in ("256", "64"):
        wanted = ("--bars", "0.5", "--in", "in.wav", "--out", "o.wav", "--tail", "0", "--block", block, "--force")
        done = antiphon("render", name, *wanted)
        assert done.code == 0, done.err
        assert done.complaint == "set.py line 9: the patch has no macro 'phaser', and this does nothing; strudel has it"
        first, second = (at for at, _ in clicks(place / "o.wav"))
        assert 0.35 <= first / RATE <= 0.375, "a tenth of a second after the level has risen, as live"
        assert second - first == RATE // 8
    silence = np.zeros((1, RATE), np.float32)
    audio.write(place / "in.wav", silence, RATE, "FLOAT")
    assert antiphon("render", name, "--bars", "0.5", "--in", "in.wav", "--out", "q.wav", "--tail", "0").code == 0
    assert clicks(place / "q.wav") == []


@pytest.mark.parametrize(("waits", "said"), [(True, "done"), (False, "too long")])
def test_a_wait_for_a_processor_is_none_of_a_steps_time(waits: bool, said: str) -> None:
    code = f"""
import select, time
from antiphon.live.records import ScriptTooLong
from antiphon.offline import script_child
script_child.thread_clocks = lambda: (0, time.monotonic_ns() if {waits} else 0)
script_child.set_limits(0.05)
script_child.begin_step(0.05)
try:
    select.select([], [], [], 1.0)
    print("done")
except ScriptTooLong:
    print("too long")
script_child.end_step()
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == said
