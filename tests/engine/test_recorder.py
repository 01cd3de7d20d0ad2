"""Recordings and sets: beyond 4 GiB, private, said when they end, and never a power cut's sound without its log."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.engine.conftest import Ends
from tests.waiting import until

from antiphon.cli.serve import TAKES
from antiphon.files import set_take
from antiphon.files.audiofile import stream
from antiphon.files.containers.layout import layout
from antiphon.files.containers.pieces import Refused
from antiphon.files.tracks import TrackFiles, TrackTake
from antiphon.kernel.contract.block import missed_fade_out
from antiphon.kernel.engine.shared import OUTPUT, SESSION, ByteRing, HeaderWord, MappingShape, Shared
from antiphon.kernel.errors import FileError
from antiphon.kernel.io.capture_memory import CaptureMemory, CaptureShape
from antiphon.recording import recorder as recorders, take as takes
from antiphon.recording.note import read_note
from antiphon.recording.recorder import Recorder
from antiphon.recording.take import TakeFile

RATE, BLOCK = 48000, 256
FOUR_GIB = 1 << 32


@pytest.fixture(autouse=True)
def every_second_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done once a second is done with every write."""
    monkeypatch.setattr(takes, "SYNC_SECONDS", -1.0)
    monkeypatch.setattr(set_take, "SYNC_SECONDS", -1.0)


def steady(value: float, frames: int = 1000) -> np.ndarray:
    return np.full((frames, 2), value, np.float32)


def leap(take: TakeFile, frames: int) -> None:
    """As if so many frames had been written: a hole, which takes no room on the disk."""
    take._file.seek(frames)
    take.frames = frames


@pytest.mark.parametrize(("subtype", "bytes_a_frame"), [("FLOAT", 8), ("PCM_24", 6)])
def test_a_wave_file_grows_beyond_4_gib(tmp_path: Path, subtype: str, bytes_a_frame: int) -> None:
    path, far = tmp_path / "long.wav", FOUR_GIB // bytes_a_frame + 1000
    take = TakeFile(path, RATE, 2, subtype)
    assert not take.write(steady(0.25))
    assert path.read_bytes()[:4] == b"RIFF", "an ordinary wave file as long as it can be one"
    assert soundfile.info(path).frames == 1000
    leap(take, far)
    assert take.write(steady(0.5)), "it is said"
    assert not take.write(steady(0.5)), "once"
    for end in ("while it is written, and should the recorder be killed", "at its end"):
        info = soundfile.info(path)
        assert (info.format, info.frames, info.subtype) == ("RF64", far + 2000, subtype), end
        with open(path, "rb") as file:
            assert layout(file.fileno()).kind == "wav"
        last, _ = soundfile.read(path, start=far - 2, dtype="float32")
        assert last[1].tolist() == [0.0, 0.0]
        assert last[2].tolist() == last[-1].tolist() == [0.5, 0.5]
        if end != "at its end":
            take.close()
    with stream(path) as (found, blocks):
        assert found.frames == far + 2000
        assert next(blocks)[0, 0] == np.float32(0.25)
    os.truncate(path, FOUR_GIB + 100)
    with open(path, "rb") as file, pytest.raises(Refused, match="cut short"):
        layout(file.fileno())


def test_a_recording_that_ends_short_of_4_gib_is_riff(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    take = TakeFile(path, RATE, 2)
    take.write(steady(0.25))
    take.close()
    data = path.read_bytes()
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    sound, rate = soundfile.read(path, dtype="float32")
    assert (rate, sound.shape) == (RATE, (1000, 2))
    assert np.all(sound == 0.25)


@pytest.fixture
def shared() -> Shared:
    made = Shared.create(MappingShape(RATE, BLOCK, 2, 64))
    made.words[HeaderWord.FIRST_BLOCK] = 0
    return made


def play(shared: Shared, first: int, count: int, value: float = 0.25) -> None:
    """Blocks as the engine leaves them in the tap."""
    shape = shared.shape
    out = np.frombuffer(shared.part("tap_out"), np.float32).reshape(shape.tap, shape.channels, shape.block)
    into = np.frombuffer(shared.part("tap_in"), np.float32).reshape(shape.tap, shape.channels, shape.block)
    for number in range(first, first + count):
        out[number % shape.tap] = into[number % shape.tap] = value
        shared.tap_tags[number % shape.tap] = number + 1
    shared.words[HeaderWord.TAP_WRITE] = first + count


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_recording_is_its_owners_alone_and_its_end_is_said(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, path = Recorder(shared, tmp_path), tmp_path / "recordings" / "take.wav"
    recorder.handle({"do": "record", "path": str(path)})
    for n in range(0, 375, 25):
        play(shared, n, 25)
        recorder.turn()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    recorder.handle({"do": "record", "path": None})
    assert capsys.readouterr().out == f"wrote {path}: 2.0 s, 0.6 MB\n"
    assert soundfile.info(path).frames == 375 * BLOCK


def test_recording_of_last_seconds_keeps_two_files(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, path = Recorder(shared, tmp_path), tmp_path / "take.wav"
    recorder.handle({"do": "record", "path": str(path), "last": 25 * BLOCK / RATE})
    assert read_note(tmp_path).last == 25 * BLOCK / RATE
    for n in range(0, 110, 10):
        play(shared, n, 10, n / 1000)
        recorder.turn()
    assert sorted(tmp_path.glob("*.wav")) == [tmp_path / "take-before.wav", path]
    recorder.handle({"do": "record", "path": str(tmp_path / "asked.wav")})
    assert f"; {tmp_path / 'take-before.wav'} has the " in capsys.readouterr().out
    kept = np.concatenate([soundfile.read(file)[0] for file in (tmp_path / "take-before.wav", path)])
    expected = np.repeat(np.arange(60, 110, 10) / 1000, 10 * BLOCK)  # of 30 blocks each, the third and the rest
    np.testing.assert_allclose(kept[:, 0], expected, atol=2**-22)
    assert read_note(tmp_path).last == 0.0
    recorder.close()


def test_a_set_is_its_owners_alone_its_log_is_on_the_disk_and_its_end_is_said(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    recorder, folder = Recorder(shared, tmp_path, takes=TAKES), tmp_path / "sessions" / "tonight"
    recorder.handle({"do": "session", "path": str(folder), "header": {}})
    recorder._takes["session"].first = 0  # the engine has begun
    play(shared, 0, 50)
    recorder.turn()
    assert "session.jsonl" in synced
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(
        ("session.jsonl", "input.wav", "output.wav"), 0o600
    )
    recorder.close()
    assert capsys.readouterr().out == f"wrote {folder}: 0.3 s, 0.2 MB\n"


def test_a_recording_that_grows_beyond_4_gib_is_said_and_goes_on(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, path = Recorder(shared, tmp_path), tmp_path / "take.wav"
    recorder.handle({"do": "record", "path": str(path)})
    recorder.aloud = True
    for n in range(0, 75, 25):
        play(shared, n, 25)
        recorder.turn()
        if n == 0:
            leap(recorder._takes["record"].file, 4 * 3600 * RATE + 10 * 60 * RATE)
    recorder.close()
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"{path} is larger than 4 GiB and continues as RF64" in said.err
    assert said.out == f"wrote {path}: 4 h 10 min 00 s, 4.3 GB\n"


def test_blocks_that_the_ring_no_longer_has_are_silent_and_counted(shared: Shared, tmp_path: Path) -> None:
    recorder, path, ring = Recorder(shared, tmp_path), tmp_path / "take.wav", shared.shape.tap
    recorder.handle({"do": "record", "path": str(path)})
    play(shared, 0, 25)
    recorder.turn()
    play(shared, 25, ring + 20)
    recorder.turn()
    recorder.close()
    assert shared.words[HeaderWord.TAP_DROPPED] == 20
    blocks = soundfile.read(path, dtype="float32")[0].reshape(-1, BLOCK, 2)
    fall = missed_fade_out(BLOCK, RATE)[:, None]
    np.testing.assert_allclose(blocks[25, : len(fall)], blocks[24, -1] * fall, atol=2**-22)  # of 24 bits
    blocks[25, : len(fall)] = 0.0
    assert blocks.any(axis=(1, 2)).tolist() == [True] * 25 + [False] * 20 + [True] * ring


def test_a_recording_goes_on_where_a_killed_recorder_ended(shared: Shared, tmp_path: Path) -> None:
    """Both files together have each block once, also those that were played while no recorder was there."""
    killed = Recorder(shared, tmp_path)
    killed.handle({"do": "record", "path": str(tmp_path / "take.wav")})
    for first in range(0, 30, 10):
        play(shared, first, 10, first / 256)
        killed.turn()
    before = (tmp_path / "take.wav").read_bytes()  # as it is after kill -9
    play(shared, 30, 20, 30 / 256)
    follower = Recorder(shared, tmp_path)
    assert shared.words[HeaderWord.TAPPING] == OUTPUT, "the engine goes on to fill the tap"
    play(shared, 50, 5, 50 / 256)
    follower.handle({"do": "record", "path": str(tmp_path / "take-2.wav"), "resume": True})
    play(shared, 55, 5, 55 / 256)
    follower.close()
    (tmp_path / "take.wav").write_bytes(before)
    files = [soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("take.wav", "take-2.wav")]
    blocks = np.concatenate(files).reshape(-1, BLOCK, 2)[:, 0, 0] * 256
    assert blocks.tolist() == [0] * 10 + [10] * 10 + [20] * 10 + [30] * 20 + [50] * 5 + [55] * 5
    assert shared.words[HeaderWord.TAP_DROPPED] == 0


@pytest.mark.parametrize("dies_at", [(TrackTake, "read"), (TrackTake, "turn"), (ByteRing, "release")])
def test_the_log_of_tracks_has_each_line_once_wherever_a_recorder_is_killed(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: tuple[type, str]
) -> None:
    kept = CaptureMemory.create(CaptureShape(RATE, BLOCK, 300))
    tracks = {"do": "tracks", "path": str(tmp_path / "tonight"), "header": {"session": 2}}
    ring, killed = ByteRing(shared), Recorder(shared, tmp_path, kept=kept, takes=TAKES)
    killed.handle(tracks)

    def push(*samples: int) -> None:
        for sample in samples:
            ring.push(b"E" + json.dumps({"engine": "started", "sample": sample}).encode())

    push(0, 1)
    killed.turn()
    push(2, 3)
    with monkeypatch.context() as patched:
        patched.setattr(*dies_at, raised_by_kill)
        with pytest.raises(KeyboardInterrupt):
            killed.turn()
    killed._takes["tracks"]._log.flush()  # as a full buffer would
    follower = Recorder(shared, tmp_path, kept=kept, takes=TAKES)
    follower.handle({**tracks, "resume": True})
    push(4)
    follower.close()
    lines = [json.loads(line) for line in (tmp_path / "tonight" / "session.jsonl").read_text().splitlines()]
    assert [line["sample"] for line in lines if "engine" in line] == [0, 1, 2, 3, 4]


def raised_by_kill(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_recording_killed_before_it_wrote_begins_no_earlier(shared: Shared, tmp_path: Path) -> None:
    first = Recorder(shared, tmp_path)
    first.handle({"do": "record", "path": str(tmp_path / "first.wav")})
    play(shared, 0, 10)
    first.close()
    play(shared, 10, 20)
    Recorder(shared, tmp_path).handle({"do": "record", "path": str(tmp_path / "take.wav")})  # and is killed
    play(shared, 30, 5)
    follower = Recorder(shared, tmp_path)
    follower.handle({"do": "record", "path": str(tmp_path / "take-2.wav"), "resume": True})
    follower.close()
    assert soundfile.info(tmp_path / "take-2.wav").frames == 5 * BLOCK


def test_a_recording_that_goes_on_too_late_begins_with_the_tap(shared: Shared, tmp_path: Path) -> None:
    killed = Recorder(shared, tmp_path)
    killed.handle({"do": "record", "path": str(tmp_path / "take.wav")})
    play(shared, 0, 10)
    killed.turn()
    play(shared, 10, 200)
    follower = Recorder(shared, tmp_path)
    follower.handle({"do": "record", "path": str(tmp_path / "take-2.wav"), "resume": True})
    follower.close()
    assert soundfile.info(tmp_path / "take-2.wav").frames == (shared.shape.tap - 16) * BLOCK


def test_the_input_and_output_of_a_set_fall_to_silence_where_a_block_was_missed(shared: Shared, tmp_path: Path) -> None:
    recorder, folder = Recorder(shared, tmp_path, takes=TAKES), tmp_path / "tonight"
    recorder.handle({"do": "session", "path": str(folder), "header": {}})
    recorder._takes["session"].first = 0  # the engine has begun
    play(shared, 0, 10)
    play(shared, 13, 10)  # 3 blocks missed
    recorder.turn()
    recorder.close()
    fall = missed_fade_out(BLOCK, RATE)[:, None]
    expected = np.full((23, BLOCK, 2), 0.25, np.float32)
    expected[10:13] = 0.0
    expected[10, : len(fall)] = 0.25 * fall
    for name in ("input.wav", "output.wav"):
        sound = soundfile.read(folder / name, dtype="float32")[0].reshape(-1, BLOCK, 2)
        np.testing.assert_array_equal(sound, expected, name)
    assert shared.words[HeaderWord.TAP_DROPPED] == 0


def test_a_recording_of_nothing_is_taken_away(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, path = Recorder(shared, tmp_path), tmp_path / "take.wav"
    recorder.handle({"do": "record", "path": str(path)})
    recorder.handle({"do": "record", "path": None})
    assert not path.exists()
    assert capsys.readouterr().out == f"nothing was recorded; there is no {path}\n"


@pytest.mark.parametrize("fails", ["write_list", "close"])
def test_tracks_on_a_disk_that_fails_end_and_the_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    shared, folder = Shared.create(MappingShape(RATE, BLOCK, 2, 64)), tmp_path / "tonight"
    kept = CaptureMemory.create(CaptureShape(RATE, BLOCK, 300))
    recorder = Recorder(shared, tmp_path, kept=kept, takes=TAKES, export=["/nowhere/antiphon", "export"])
    recorder.handle({"do": "record", "path": str(tmp_path / "take.wav")})
    recorder.handle({"do": "tracks", "path": str(folder), "header": {}})
    assert recorder.lines == []
    ByteRing(shared).push(b"E" + json.dumps({"sample": 0, "tracks": [(7, "lead", 2, True)]}).encode())

    def full(self: TrackFiles, *_: object) -> None:
        raise FileError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(TrackFiles, fails, full)
        recorder.turn()
        recorder.handle({"do": "tracks", "path": None})
    play(shared, 0, 25)
    recorder.close()
    first, no_projects = recorder.lines
    assert "the disk is full" in first
    assert f"`antiphon export {folder} {folder}`" in no_projects
    assert soundfile.info(tmp_path / "take.wav").frames == 25 * BLOCK


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the end of a process is seen here without taking it")
def test_a_program_that_has_made_projects_is_waited_for_at_the_next_tracks(tmp_path: Path) -> None:
    shared, said = Shared.create(MappingShape(RATE, BLOCK, 2, 64)), tmp_path / "pids"
    kept = CaptureMemory.create(CaptureShape(RATE, BLOCK, 300))
    export = ["sh", "-c", f"echo $$ >> {said}"]
    recorder = Recorder(shared, tmp_path, kept=kept, takes=TAKES, export=export)
    for turn in range(2):
        recorder.handle({"do": "tracks", "path": str(tmp_path / str(turn)), "header": {}})
        recorder.handle({"do": "tracks", "path": None})
        until(lambda n=turn: said.exists() and said.read_text().count("\n") > n, 5.0, "it runs")
        pids = list(map(int, said.read_text().split()))
        os.waitid(os.P_PID, pids[turn], os.WEXITED | os.WNOWAIT)
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)
    recorder.close()


def test_a_name_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="a recording's name ends in"):
        TakeFile(tmp_path / "take.txt", RATE, 2)


@pytest.mark.parametrize(
    ("limit", "least", "said"),
    [(300_000, 0.0, "it has the 0.0003 GB of --record-limit"), (1e12, 2.0, "the disk is nearly full")],
)
def test_a_recording_ends_complete_at_its_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: float, least: float,
    said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(recorders, "MIN_FREE", least)
    monkeypatch.setattr(recorders, "MAX_LEFT", 1e18)
    recorder = Recorder(Shared.create(MappingShape.of(RATE, BLOCK, 2)), tmp_path, limit)
    recorder.aloud = True
    path = tmp_path / "take.wav"
    recorder.handle({"do": "record", "path": str(path)})
    words, second = recorder.shared.words, RATE // BLOCK + 1
    words[HeaderWord.FIRST_BLOCK] = 0
    for seconds in (1, 2, 3):
        words[HeaderWord.TAP_WRITE] = seconds * second
        recorder.turn()
    assert said in capsys.readouterr().err
    frames = soundfile.info(path).frames
    assert frames == (2 if limit < 1e9 else 1) * second * BLOCK
    assert words[HeaderWord.TAPPING] == 0
    recorder.handle({"do": "record", "path": str(tmp_path / "next.wav")})
    assert words[HeaderWord.TAPPING] != 0
    recorder.close()


def test_a_set_is_kept_from_the_recorders_word_on_until_it_is_to_stop(ends: Ends) -> None:
    link, words = ends.link, ends.shared.words
    assert not link.keeping
    # begun by the command line, or by a control process before this one
    words[HeaderWord.TAPPING] = SESSION
    assert link.keeping
    link.session(None)
    assert not link.keeping, "the next may be asked for at once: the recorder takes it behind this"
    link.session("x")
    assert link.keeping
    words[HeaderWord.TAPPING] = 0
    assert not link.keeping, "the recorder could not begin, or had to end it"
