"""`make cases`: its table is whole, and its rulers measure right."""

import runpy
import shutil
import tomllib
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = tomllib.loads((ROOT / "tools" / "cases.toml").read_text())
RATE = 48000


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "cases.py"))


def test_cases_rows_have_measures_of_files(cases: dict[str, Any]) -> None:
    rows = [(name, row) for part in ROUNDS.values() for name, row in part.items()]
    assert len({name for name, _ in rows}) == len(rows)
    for name, row in rows:
        measures = row.keys() & cases["MEASURES"].keys()
        assert measures or "says" in row, name
        assert row.keys() <= {"whose", "needs", "run", "says", "exit", *measures}, name
        for each in measures:
            for file, *right in row[each] if isinstance(row[each][0], list) else [row[each]]:
                assert isinstance(file, str), name
                assert right, name


def test_cases_inputs_lie_below_their_round_or_in_the_folder(cases: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "round3").mkdir()
    for folder, third in ((tmp_path, tmp_path / "round3"), (tmp_path / "round3", tmp_path / "round3")):
        places = {name: place for name, _, place in cases["rows_of"](folder)}
        assert (places["pipe-zero"], places["lengths"]) == (third, folder)


def test_cases_row_without_its_input_is_left_out(cases: dict[str, Any], tmp_path: Path) -> None:
    row = {"run": 'antiphon run gain "$CASES/here.wav" out.wav', "needs": ["sh"]}
    assert cases["lacking"](row, tmp_path) == "here.wav"
    (tmp_path / "here.wav").touch()
    assert cases["lacking"](row, tmp_path) == ""
    assert cases["lacking"]({**row, "needs": ["no-such-program"]}, tmp_path) == "no-such-program"


def test_cases_judge_names_what_is_wrong(cases: dict[str, Any]) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    row = {"run": "echo some text >out; echo said", "holds": ["out", "some", "text"], "says": ["said"]}
    assert list(cases["judge"](row, environment)) == []
    (fault,) = cases["judge"]({**row, "holds": ["out", "text", "some"]}, environment)
    assert fault == "out: no 'some'; right: text some"
    (fault,) = cases["judge"]({**row, "run": "echo no; exit 3"}, environment)
    assert fault == "exit 3: no"
    (fault,) = cases["judge"]({**row, "holds": ["gone", "text"]}, environment)
    assert fault.startswith("gone: it cannot be measured")


def test_cases_beats_of_notes_are_measured(cases: dict[str, Any], tmp_path: Path) -> None:
    track = mido.MidiTrack([mido.Message("note_on", note=60, time=480), mido.Message("note_on", note=62, time=240)])
    mido.MidiFile(tracks=[track]).save(tmp_path / "a.mid")
    assert cases["beats"](tmp_path / "a.mid", 1.0, 1.5) == ""
    assert cases["beats"](tmp_path / "a.mid", 1.0, 1.52) == "notes at [1.0, 1.5]"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_cases_sound_is_measured(cases: dict[str, Any], tmp_path: Path) -> None:
    sound = np.zeros((2 * RATE, 2))
    sound[RATE // 2 :: RATE] = 0.5
    sound[: RATE // 4, 1] = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 4) / RATE)
    soundfile.write(file := tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    assert cases["seconds"](file, 2.0) == ""
    assert cases["seconds"](file, 1.9) == "2.000 s"
    assert cases["apart"](file, 1.0) == ""
    assert cases["apart"](file, 0.9) == "onsets at [0.5, 1.5] s"
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE, subtype="FLOAT")
    assert cases["pitches"](file, 440.0) == ""
    assert cases["quieter"](file, 0.2, 0.8, -9.0) == ""
    assert cases["louder"](file, 0.2, 0.8, -9.0) == "-9.0 dBFS"
    assert cases["true_peak"](file, -6.0) == ""
