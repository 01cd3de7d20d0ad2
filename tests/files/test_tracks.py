"""Tracks that the recorder writes: aligned to the sample, through gaps, kills and full disks."""

import errno
import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.engine.test_capture import BLOCK, RATE, Engine

from antiphon.files.scores.midi_song import Times
from antiphon.files.tracks import HEADER, LOG, BeatPoints, TrackFiles, TrackTake, wave_header
from antiphon.kernel.contract.block import StreamSpec, missed_fade_out
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.io_nodes import OUT_NUMBER
from antiphon.kernel.io.capture_memory import CHANNELS
from antiphon.operations.requests import Reporting
from antiphon.operations.tracks import export, tempo_map
from antiphon.recording.note import LIST

STARTED = {"engine": "started", "sample": 0, "died": 0}


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
    logged = take.log_size
    with (tmp_path / LOG).open("a") as log:
        log.write('{"sample": 1')
    take = begun(tmp_path, engine)
    take.rewind(logged)
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
    fall = missed_fade_out(BLOCK, RATE)[:, None]
    fallen = 10 * BLOCK + len(fall)
    np.testing.assert_array_equal(sound[10 * BLOCK : fallen], sound[10 * BLOCK - 1] * fall)
    assert not sound[fallen : 17 * BLOCK].any()
    np.testing.assert_array_equal(sound[17 * BLOCK :], engine.out[10 * BLOCK :])
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line for line in lines if "cue" in line] == [{"sample": 640, "cue": "gap", "values": [7 * BLOCK]}]


def test_a_block_that_was_computed_too_late_is_silent_but_for_the_input(tmp_path: Path) -> None:
    engine = Engine()
    take = begun(tmp_path, engine)
    engine.play(10)
    take.line({"unheard": 8 * BLOCK})
    take.turn(8)
    take = begun(tmp_path, engine)  # the recorder was killed behind the line, and before the block
    engine.play(1)
    take.turn(engine.block)
    take.close()
    sound, (came, _) = heard(tmp_path), soundfile.read(tmp_path / "input.wav")
    expected = engine.out.copy()
    late, fall = expected[8 * BLOCK : 9 * BLOCK], missed_fade_out(BLOCK, RATE)[:, None]
    late[:] = 0.0
    late[: len(fall)] = expected[8 * BLOCK - 1] * fall
    np.testing.assert_array_equal(sound, expected)
    assert came.all(), "a replay computes it again"


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


def test_what_is_overwritten_while_it_is_read_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(slots=300)
    take = begun(tmp_path, engine)
    engine.play(60)
    find = take._reader.slots

    def slots(first: int, count: int) -> np.ndarray:
        found = find(first, count)
        monkeypatch.undo()
        engine.play(60)  # the ring has 100 blocks
        return found

    monkeypatch.setattr(take._reader, "slots", slots)
    take.turn(60)
    take.turn(engine.block)
    take.close()
    sound = heard(tmp_path)
    assert len(sound) == 120 * BLOCK
    lost = np.flatnonzero(~sound.any(axis=1))
    assert 0 < len(lost) < 30 * BLOCK
    np.testing.assert_array_equal(np.delete(sound, lost, 0), np.delete(engine.out, lost, 0))


def owned(engine: Engine, take: TrackTake, node: int, channels: int, blocks: int) -> np.ndarray:
    """Blocks in which a node stands in the place of the output."""
    before = engine.block
    engine.play(blocks)
    tags = engine.memory.tags
    rows = np.flatnonzero((tags > before) & (engine.memory.owners // CHANNELS == OUT_NUMBER))
    engine.memory.owners[rows] += (node - OUT_NUMBER) * CHANNELS
    tags[rows[engine.memory.owners[rows] % CHANNELS >= channels]] = 0
    return engine.out[before * BLOCK :, :channels]


def test_numbers_of_one_track_add_up_whatever_their_channels(tmp_path: Path) -> None:
    """A node that was replaced goes on in its track; mono goes to all channels, and stereo to one as its mean."""
    engine = Engine()
    take = begun(tmp_path, engine)
    take.line({"tracks": [(7, "lead", 2, True), (9, "lead", 1, True), (11, "input", 1, False), (8, "solo", 1, True)]})
    take.line({"tracks": [(6, "solo", 2, True)]})
    first, mono = owned(engine, take, 7, 2, 5), owned(engine, take, 9, 1, 5)
    solo, wide = owned(engine, take, 8, 1, 5), owned(engine, take, 6, 2, 5)
    take.turn(engine.block)
    named = owned(engine, take, 11, 1, 5)
    take.turn(engine.block)
    take.close()
    lead, _ = soundfile.read(tmp_path / "lead.wav", dtype="float32")
    np.testing.assert_array_equal(lead[: 10 * BLOCK], np.concatenate([first, mono.repeat(2, 1)]))
    one, _ = soundfile.read(tmp_path / "solo.wav", dtype="float32")
    np.testing.assert_allclose(one[10 * BLOCK : 20 * BLOCK], np.concatenate([solo[:, 0], wide.mean(1)]), atol=1e-7)
    other, _ = soundfile.read(tmp_path / "input-2.wav", dtype="float32")
    np.testing.assert_array_equal(other[-len(named) :], named[:, 0])
    assert not other[: -len(named)].any()


def test_tracks_that_cannot_begin_leave_the_name_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: TrackFiles, *_: object) -> None:
        raise FileError("the disk is full")

    monkeypatch.setattr(TrackFiles, "write_list", full)
    engine, before = Engine(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileError, match="full"):
        TrackTake(tmp_path, engine.memory, 2, {"session": 2})
    assert list(tmp_path.iterdir()) == []
    del engine
    assert len(os.listdir("/proc/self/fd")) <= before


def recorded_set(folder: Path, *cues: dict[str, object]) -> Engine:
    """A set of a second or so, still being recorded; `bar` is none."""
    folder.mkdir()
    engine = Engine()
    take = TrackTake(folder, engine.memory, 2, {"session": 2, "rate": RATE, "block": BLOCK, "channels": 2, "bar": 0})
    take.line({**STARTED, "tempo": asdict(GraphPlayer(StreamSpec(RATE, BLOCK, 2)).tempo)})
    for cue in cues:
        take.line({"sample": 64, **cue})
    engine.play(500)
    take.turn(engine.block)
    return engine


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_leaves_its_source_as_it_is(tmp_path: Path) -> None:
    folder, copy = tmp_path / "set", tmp_path / "copy"
    engine = recorded_set(
        folder,
        {"cue": "gap", "values": ["x"]},
        {"cue": "gap", "values": [float("nan")]},
        {"cue": "gap", "values": [4800]},
        {"cue": "/scene/recall", "values": ["a", "b"]},
    )
    with (folder / "input.wav").open("ab") as file:  # as a recorder that is at work
        file.write(bytes(4 * 2 * BLOCK))
    before = contents(folder)
    export(folder, str(copy), Reporting())
    assert contents(folder) == before
    np.testing.assert_array_equal(heard(copy), engine.out)
    project = (copy / "set.rpp").read_text()
    for marker in ("gap x", "gap nan", "gap of 0.100 s", "/scene/recall a b"):
        assert f'"{marker}"' in project


@pytest.mark.parametrize("damage", ["cut", "edited", "link", "outside", "list", "twice"])
def test_tracks_that_are_not_what_was_recorded_are_refused(tmp_path: Path, damage: str) -> None:
    folder, track = tmp_path / "set", tmp_path / "set" / "input.wav"
    recorded_set(folder)
    match damage:
        case "cut":
            os.truncate(track, 2000)
        case "edited":
            soundfile.write(track, np.zeros((500 * BLOCK, 2)), RATE, "PCM_16")
        case "link":
            track.rename(tmp_path / "else.wav")
            track.symlink_to(tmp_path / "else.wav")
        case _:
            name = {"outside": "../set/input.wav", "list": "tracks.json", "twice": "output.wav"}[damage]
            text = (folder / LIST).read_text()
            (folder / LIST).write_text(text.replace('"input.wav"', json.dumps(name)))
    before = contents(folder)
    for out in (folder, tmp_path / "copy"):
        with pytest.raises(FileError, match=rf"{re.escape(str(folder))}/(input.wav|tracks.json)\b"):
            export(folder, str(out), Reporting())
    assert contents(folder) == before
    assert not (tmp_path / "copy").exists()
    if damage == "cut":  # as by a power cut
        export(folder, str(tmp_path / "copy"), Reporting(), force=True)
        assert len(heard(tmp_path / "copy")) == (2000 - HEADER) // 8 // BLOCK * BLOCK
        assert contents(folder) == before


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

    monkeypatch.setattr(os, "pwrite", full)
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
        "../../etc/passwd", "a/b", "A:B", "", ".", "input", "x" * 300, "ünï ✨", "con\nsole", "input", "CON", "aux",
    ]  # fmt: skip
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


def test_a_tempo_map_keeps_the_beat_through_ramps() -> None:
    """Forty ritardandi from 100 to 60 bpm and back at once: the map is where the clock is, and constant tempi stay."""
    clock, line, points, beats = TempoMap(RATE, 100.0, end_bpm=100.0), BeatPoints(), [], []
    for block in range(40 * 2000):
        sample = block * 256
        if block % 2000 == 500:
            clock.set_tempo(sample, 60.0, 4.0)
        elif block % 2000 == 1900:
            clock.set_tempo(sample, 100.0)
        beats.append(clock.beat_at(sample))
        if (point := line.add(sample, beats[-1], RATE)) is not None:
            points.append((point["sample"], point["beat_line"], point["bpm"]))
    begin, tempo = tempo_map(points, RATE, 4)
    times = Times(tempo)
    found = [times.beat(block * 256 / RATE) for block in range(len(beats))]
    assert begin == 0.0
    assert np.abs(np.subtract(found, beats)).max() < 0.01
    assert tempo[0][1] == pytest.approx(100.0, abs=1e-6)
