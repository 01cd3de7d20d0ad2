"""Tracks that the recorder writes: aligned to the sample, through gaps, kills and full disks."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.engine.test_capture import BLOCK, RATE, Engine

from antiphon.kernel.engine.recording import tracks as recorded
from antiphon.kernel.engine.recording.tracks import HEADER, LOG, BeatPoints, TrackFiles, TrackTake, wave_header

STARTED = {"engine": "started", "sample": 0}


def begun(folder: Path, engine: Engine) -> TrackTake:
    take = TrackTake(folder, engine.memory, 2, {"session": 2})
    if take.first < 0:
        take.line(STARTED)
    return take


def heard(folder: Path) -> np.ndarray:
    assert {soundfile.info(path).frames for path in folder.glob("*.wav")} == {
        soundfile.info(folder / "output.wav").frames
    }
    sound, rate = soundfile.read(folder / "output.wav", dtype="float32")
    assert rate == RATE
    return sound


def test_tracks_are_what_was_played_over_a_recorder_that_is_killed(tmp_path: Path) -> None:
    engine = Engine()
    take = begun(tmp_path, engine)
    for _ in range(20):
        engine.play(37)
        take.turn(engine.block)
    (tmp_path / "input.wav").open("ab").write(b"half a write")  # as if it was killed within one
    engine.play(50)
    with (tmp_path / LOG).open("a") as log:
        log.write('{"sample": 1')
    take = begun(tmp_path, engine)
    engine.play(30)
    take.turn(engine.block)
    take.close()
    np.testing.assert_array_equal(heard(tmp_path), engine.out)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert not [line for line in lines if "cue" in line], "nothing was lost"


def test_a_gap_is_silent_and_marked_in_all_tracks_alike(tmp_path: Path) -> None:
    engine = Engine()
    take = begun(tmp_path, engine)
    engine.play(10)
    engine.block += 7  # as an engine that was killed, and one that went on
    engine.play(10)
    take.turn(engine.block)
    take.close()
    sound = heard(tmp_path)
    np.testing.assert_array_equal(sound[: 10 * BLOCK], engine.out[: 10 * BLOCK])
    assert not sound[10 * BLOCK : 17 * BLOCK].any()
    np.testing.assert_array_equal(sound[17 * BLOCK :], engine.out[10 * BLOCK :])
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line for line in lines if "cue" in line] == [{"sample": 640, "cue": "gap", "values": [7 * BLOCK]}]


def test_blocks_that_the_ring_no_longer_has_are_a_gap(tmp_path: Path) -> None:
    engine = Engine(slots=300)
    take = begun(tmp_path, engine)
    engine.play(1)
    take.turn(engine.block)
    engine.play(200)
    take.turn(engine.block)
    take.close()
    sound = heard(tmp_path)
    assert len(sound) == 201 * BLOCK
    assert '"gap"' in (tmp_path / LOG).read_text()
    np.testing.assert_array_equal(sound[-50 * BLOCK :], engine.out[-50 * BLOCK :])


def test_a_full_disk_leaves_complete_tracks_of_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    take = begun(tmp_path, engine)
    engine.play(64)
    take.turn(engine.block)
    write, left = os.pwrite, [3]

    def full(fd: int, data: bytes, at: int) -> int:
        if at > HEADER:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data, at)

    monkeypatch.setattr(recorded.os, "pwrite", full)
    engine.play(256)
    with pytest.raises(OSError, match="No space"):
        take.turn(engine.block)
    take.close()
    sound = heard(tmp_path)
    assert 64 * BLOCK <= len(sound) < len(engine.out)
    np.testing.assert_array_equal(sound, engine.out[: len(sound)])


def test_names_of_nodes_become_names_of_files(tmp_path: Path) -> None:
    files = TrackFiles(tmp_path, RATE)
    names = [
        "../../etc/passwd",
        "a/b",
        "A:B",
        "",
        ".",
        "input",
        "x" * 300,
        "ünï ✨",
        "con\nsole",
        "input",
        "CON",
        "aux",
    ]
    found = [files.add(name, 1, mixed=n > 5) for n, name in enumerate(names)]
    files.write((), 64)
    files.close()
    assert {path.name for path in tmp_path.iterdir()} == {track.file for track in found if track is not None}
    assert len({track.file.casefold() for track in found if track is not None}) == len(names)
    assert not {"con.wav", "aux.wav"} & {path.name.casefold() for path in tmp_path.iterdir()}
    assert not (tmp_path.parent / "etc").exists()


@pytest.mark.parametrize("frames", [0, 1000, 1 << 30])
def test_the_header_is_read_by_others(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wave_header(RATE, 2, frames))
    os.truncate(path, HEADER + frames * 8)
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (frames, RATE, 2, "FLOAT")
    assert info.format == ("RF64" if frames > 1 << 29 else "WAV")


def test_breakpoints_of_the_beat_say_it_within_a_thousandth() -> None:
    line, points, beats = BeatPoints(), [], []
    beat = 3.0
    for n in range(4000):
        beats.append(beat)
        if (point := line.add(n * 64, beat, RATE)) is not None:
            points.append(point)
        bpm = 120.0 if n < 1000 else min(180.0, 120.0 + (n - 1000) * 0.05)
        beat += bpm / 60.0 / RATE * 64
    at, held = [p["sample"] / 64 for p in points], [p["beat_line"] for p in points]
    steps = [p["bpm"] / 60.0 / RATE * 64 for p in points]
    place = np.searchsorted(at, np.arange(4000), side="right") - 1
    said = np.take(held, place) + (np.arange(4000) - np.take(at, place)) * np.take(steps, place)
    assert np.abs(said - beats).max() < 2e-3
    assert len(points) < 100
