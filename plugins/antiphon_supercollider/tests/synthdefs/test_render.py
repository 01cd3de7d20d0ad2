"""`render --synth supercollider`: notes at their sample, the same each time, through the live code's graph."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from tests import forked

from antiphon_supercollider.tests.synthdefs.score import Samples, differs, heard, needs_scsynth

pytestmark = needs_scsynth
RATE = 48000
PATCH = 'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "{}"\n[wires]\n"keys" = "out"\n'


def rendered(folder: Path, instrument: str, events: Sequence[tuple[int, str, list[int]]], seconds: float) -> Samples:
    """`[2, frames]` of (sample, address, arguments)."""
    (folder / "keys.toml").write_text(PATCH.format(instrument))
    lines = [json.dumps({"sample": at, "address": address, "args": args}) for at, address, args in events]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    out = folder / "out.wav"
    words = [
        "render", str(folder / "keys.toml"), "--out", str(out), "--events", str(folder / "events.jsonl"),
        "--seconds", str(seconds), "--synth", "supercollider", "--force",
    ]  # fmt: skip
    done = forked.run([*forked.COMMAND, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    x, rate = soundfile.read(out, dtype="float32", always_2d=True)
    assert (rate, len(x)) == (RATE, round(seconds * RATE))
    return np.ascontiguousarray(x.T)


def test_onsets_are_on_their_samples_and_the_same_each_time(tmp_path: Path) -> None:
    asked = [1, 64, 24_037, 48_255, 72_256, 96_001]
    drums = [(at, "/note/on", [42, 100]) for at in asked[1:]]
    first = rendered(tmp_path, "drums", drums, 2.5)
    for at in asked[2:]:
        assert heard(first[:, at - 2000 : at + 2000])[0] == 2000
    assert heard(first)[0] == 64
    assert rendered(tmp_path, "drums", drums, 2.5).tobytes() == first.tobytes()


def test_a_note_is_let_go_on_its_sample(tmp_path: Path) -> None:
    held = [(1000, "/note/on", [60, 100])]
    whole = rendered(tmp_path, "strings", held, 1.0)
    for at in (20_000, 20_001, 33_333):
        assert differs(rendered(tmp_path, "strings", [*held, (at, "/note/off", [60])], 1.0), whole) == at


def test_no_notes_are_silence(tmp_path: Path) -> None:
    assert not rendered(tmp_path, "piano", [(0, "/tempo", [100])], 0.5).any()
