"""A user's SynthDef, and sounds in buffers, through `render --synth supercollider`: by the rendered sound."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.sources import ROOT

from antiphon_supercollider.tests.synthdefs.score import Samples, differs, heard, needs_scsynth, pitch
from antiphon_supercollider.tests.synthdefs.test_compiled import tool

pytestmark = needs_scsynth
RATE = 48000
OWN = Path(__file__).parent / "own"
Line = tuple[int, str, list[object]]


def rendered(folder: Path, node: dict[str, object], events: Sequence[Line], seconds: float) -> Samples:
    """`[2, frames]` of (sample, address, arguments)."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in node.items())
    (folder / "keys.toml").write_text(f'format = 1\n[nodes.keys]\ntype = "synth"\n{lines}\n[wires]\n"keys" = "out"\n')
    told = [json.dumps({"sample": at, "address": address, "args": args}) for at, address, args in events]
    (folder / "events.jsonl").write_text("\n".join(told) + "\n")
    words = [
        "render", str(folder / "keys.toml"), "--out", str(folder / "out.wav"), "--events",
        str(folder / "events.jsonl"), "--seconds", str(seconds), "--synth", "supercollider", "--force", "--no-limit",
    ]  # fmt: skip
    done = forked.run([*forked.COMMAND, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    x, _ = soundfile.read(folder / "out.wav", dtype="float32", always_2d=True)
    return np.ascontiguousarray(x.T)


def own(name: str) -> dict[str, object]:
    return {"synthdef": str(OWN / "compiled" / f"{name}.scsyndef")}


@pytest.fixture
def tone(tmp_path: Path) -> str:
    """A second of a sine of 440 Hz that goes round without a seam."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE)
    return str(path)


@pytest.mark.skipif(shutil.which("sclang") is None, reason="needs sclang: apt-get install supercollider-language")
def test_they_are_what_their_source_gives(tmp_path: Path) -> None:
    for name in tool.compile_into(tmp_path, OWN):
        assert (tmp_path / name).read_bytes() == (OWN / "compiled" / name).read_bytes(), name


def test_onsets_are_on_their_samples_and_the_same_each_time(tmp_path: Path) -> None:
    asked = [1, 64, 24_037, 48_255, 72_256, 96_001]
    drums: list[Line] = [(at, "/note/on", [42, 100]) for at in asked[1:]]
    first = rendered(tmp_path, {"instrument": "drums"}, drums, 2.5)
    for at in asked[2:]:
        assert heard(first[:, at - 2000 : at + 2000])[0] == 2000
    assert heard(first)[0] == 64
    assert rendered(tmp_path, {"instrument": "drums"}, drums, 2.5).tobytes() == first.tobytes()
    notes: list[Line] = [(4801 + n * 4807, "/note/on", [60, 100]) for n in range(16)]
    own_ones = rendered(tmp_path, own("tick"), notes, 1.8)
    assert [heard(own_ones[:, at - 1000 : at + 1000])[0] for at, *_ in notes] == [1000] * len(notes)


def test_a_note_is_let_go_on_its_sample(tmp_path: Path) -> None:
    held: list[Line] = [(1000, "/note/on", [60, 100])]
    whole = rendered(tmp_path, {"instrument": "strings"}, held, 1.0)
    for at in (20_000, 20_001, 33_333):
        told = rendered(tmp_path, {"instrument": "strings"}, [*held, (at, "/note/off", [60])], 1.0)
        assert differs(told, whole) == at


def test_values_by_name_are_of_their_note_alone(tmp_path: Path) -> None:
    own_level: list[object] = ["note", 60, "velocity", 100, "length", 0, "level", 0.4]
    events: list[Line] = [
        (1000, "/node/keys/play", own_level),
        (9000, "/note/off", [60]),
        (13_000, "/note/on", [60, 100]),
    ]
    y = rendered(tmp_path, own("raw"), events, 0.5)
    first, second = (float(np.median(y[0, at : at + 4000])) for at in (3000, 15_000))
    assert second > 0.01
    assert first == pytest.approx(2.0 * second, rel=1e-4)
    assert abs(y[0, 10_000:12_900]).max() == 0.0


def test_a_gate_closes_within_half_a_block_of_its_sample(tmp_path: Path) -> None:
    held: list[Line] = [(1000, "/note/on", [60, 100])]
    whole = rendered(tmp_path, own("raw"), held, 0.6)
    for at in (20_000, 20_017, 20_050):
        changed = differs(rendered(tmp_path, own("raw"), [*held, (at, "/note/off", [60])], 0.6), whole)
        assert abs(changed - at) <= 33


def test_a_voice_that_is_taken_fades_and_nan_is_silence(tmp_path: Path) -> None:
    notes: list[Line] = [(1000, "/note/on", [60, 100]), (20_000, "/cc", [120, 0])]
    x = rendered(tmp_path, own("raw"), notes, 0.6)
    assert 20_000 < heard(x)[1] <= 20_000 + 490
    assert np.abs(np.diff(x[0, 19_000:])).max() < 0.01
    assert not rendered(tmp_path, own("raw") | {"controls": "nan=1"}, notes, 0.6).any()


def test_bend_and_velocity_reach_it(tmp_path: Path) -> None:
    notes: list[Line] = [(0, "/note/on", [69, 64]), (24_000, "/bend", [1.0])]
    x = rendered(tmp_path, own("blip") | {"bend": 12}, notes, 1.0)
    assert abs(pitch(x[:, 4000:20_000], 440.0)) < 3
    assert abs(pitch(x[:, 28_000:46_000], 880.0)) < 3
    soft = rendered(tmp_path, own("blip"), [(0, "/note/on", [69, 32])], 0.5)
    assert np.abs(soft).max() / np.abs(x).max() == pytest.approx(0.5, rel=0.01)


def test_a_buffer_is_played_by_the_sampler_the_grains_and_ones_own(tmp_path: Path, tone: str) -> None:
    notes: list[Line] = [(0, "/note/on", [67, 100])]
    fifth = 440.0 * 2 ** (7 / 12)
    sampler = rendered(tmp_path, {"instrument": "sampler", "sound": tone, "controls": "loop=1"}, notes, 1.0)
    assert abs(pitch(sampler[:, 4000:], fifth)) < 3
    grains = rendered(
        tmp_path, {"instrument": "grains", "sound": tone, "controls": "size=0.2 speed=1 spread=0"}, notes, 1.0
    )
    assert abs(pitch(grains[:, 4000:], fifth)) < 60
    tape = rendered(tmp_path, own("tape") | {"sound": tone, "controls": "rate=1.5"}, notes, 1.0)
    assert abs(pitch(tape[:, 4000:], 660.0)) < 3


def test_dials_are_turned_while_a_note_sounds(tmp_path: Path, tone: str) -> None:
    node = own("tape") | {"sound": tone, "controls": "rate=1:2"}
    notes: list[Line] = [(0, "/note/on", [60, 100]), (24_000, "/node/keys/x1", [1.0])]
    x = rendered(tmp_path, node, notes, 1.0)
    assert abs(pitch(x[:, 2000:20_000], 440.0)) < 3
    assert abs(pitch(x[:, 30_000:], 880.0)) < 3


def test_a_mosaic_is_played_by_grains_at_the_pitch_of_its_input(tmp_path: Path) -> None:
    """The patch of the README of `mosaic`: units of a rising line follow two notes."""
    time = np.arange(RATE // 2) / RATE
    line = [0.3 * np.sin(2 * np.pi * 440.0 * 2 ** (n / 12) * time) * np.exp(-4.0 * time) for n in range(-3, 12)]
    soundfile.write(tmp_path / "line.wav", np.concatenate(line), RATE)
    soundfile.write(tmp_path / "in.wav", 0.5 * np.concatenate([line[5], line[10]]), RATE)
    readme = (ROOT / "plugins/antiphon-sound/antiphon_mosaic/README.md").read_text("utf-8")
    patch = readme.split("```text")[1].split("```")[0].replace("strings.wav", str(tmp_path / "line.wav"))
    (tmp_path / "grains.toml").write_text(patch)
    words = ["render", "grains.toml", "--in", "in.wav", "--out", "out.wav", "--synth", "supercollider"]
    done = forked.run([*forked.COMMAND, *words], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    x, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert np.abs(x).max() > 0.05
    for first, semitones in ((8000, 2), (32_000, 7)):
        assert abs(pitch(x.T[:, first : first + 12_000], 440.0 * 2 ** (semitones / 12))) < 30
