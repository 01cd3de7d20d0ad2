"""A folder is analysed once; what is broken is told in a sentence and costs nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import PluginError
from antiphon_loops.library import analyse, database, folder_of, write_listing


def test_what_is_known_is_not_looked_at_again(library: Path):
    again = analyse(library)
    assert again.fresh == 0
    assert [x.file for x in again.loops] == [f"{c}.wav" for c in "abcdefgh"]


def test_a_changed_file_is_and_a_moved_or_touched_one_is_not(analysed: tuple[Path, Path], tmp_path: Path):
    first = tmp_path / "one.wav"
    first.write_bytes((analysed[0] / "a.wav").read_bytes())
    assert analyse(tmp_path).fresh == 1
    os.utime(first, (1, 1))
    (tmp_path / "deep").mkdir()
    first.rename(tmp_path / "deep" / "two.wav")
    moved = analyse(tmp_path)
    assert (moved.fresh, moved.loops[0].file) == (0, "deep/two.wav")
    (tmp_path / "deep" / "two.wav").write_bytes((analysed[0] / "c.wav").read_bytes())
    assert analyse(tmp_path).fresh == 1


def test_a_stop_costs_one_file(analysed: tuple[Path, Path], tmp_path: Path):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes((analysed[0] / f"{name}.wav").read_bytes())

    def stop(done: int, count: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(tmp_path, stop)
    assert analyse(tmp_path).fresh == 1


def test_bad_files_are_told_in_a_sentence_each(analysed: tuple[Path, Path], tmp_path: Path):
    good = (analysed[0] / "a.wav").read_bytes()
    (tmp_path / "good.wav").write_bytes(good)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "words.flac").write_text("not a sound")
    (tmp_path / "cut.wav").write_bytes(good[:60])
    soundfile.write(tmp_path / "silent.wav", np.zeros(88200), 44100)
    soundfile.write(tmp_path / "short.wav", np.ones(4000), 44100)
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    found = analyse(tmp_path)
    assert [x.file for x in found.loops] == ["good.wav"]
    assert len(found.problems) == 6
    for name in ("empty.wav", "words.flac", "cut.wav", "silent.wav", "short.wav", "gone.wav"):
        told = [p for p in found.problems if name in p]
        assert len(told) == 1, found.problems
        assert "\n" not in told[0]
        assert str(tmp_path) not in told[0]


def test_a_broken_database_is_made_anew(analysed: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "a.wav").write_bytes((analysed[0] / "a.wav").read_bytes())
    database().parent.mkdir(parents=True, exist_ok=True)
    database().write_bytes(b"no database" * 1000)
    assert analyse(tmp_path).fresh == 1
    assert analyse(tmp_path).fresh == 0


def test_the_listing_has_what_was_asked_of_it(library: Path, tmp_path: Path):
    write_listing(analyse(library).loops, tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert list(rows[0])[:5] == ["file", "bpm", "key", "bars", "instrument"]
    assert [rows[0][k] for k in ("file", "bpm", "key", "bars", "instrument")] == ["a.wav", 104.0, None, 2, "drums"]
    assert [rows[3][k] for k in ("file", "bpm", "key", "bars", "instrument")] == [
        "d.wav",
        110.0,
        "C major",
        4,
        "harmonic",
    ]


@pytest.mark.parametrize("name", ["../x", "nothing here", "/nowhere/at/all", "a/b"])
def test_a_name_that_is_no_library_is_refused(name: str):
    with pytest.raises(PluginError):
        folder_of(name)
