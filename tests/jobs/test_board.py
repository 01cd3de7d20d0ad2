"""Jobs and files: kept, bounded, done once, and gone on with after a kill."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import comes

from antiphon.jobs import board as board_module, files as files_module, process
from antiphon.jobs.board import JobBoard, Overviews
from antiphon.jobs.job import Job, JobState, JobTable, StorageFull, Task, Upload
from antiphon.jobs.process import CommandEnd
from antiphon.kernel.errors import AntiphonError, FileError


class FakePerform:
    """In place of the command: it writes OUT once `allowed` is set, or fails with `complaint`."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()
        self.complaint = ""
        self.began: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.options: dict[str, float] = {}
        self.at_once = self.most = 0

    async def __call__(
        self, words: Sequence[str], progress: Callable[[float, str], None], **options: float
    ) -> CommandEnd:
        self.requests.append(json.loads(words[1]))
        self.options = options
        out = Path(self.requests[-1].get("out") or self.requests[-1]["paths"][-1])
        self.began.append(out.parent.name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            progress(0.0, "reading")
            progress(0.5, "")
            await self.allowed.wait()
            if self.complaint:
                return CommandEnd(2, "", f"antiphon: {self.complaint}")
            await asyncio.to_thread(out.write_bytes, b"sound")
            return CommandEnd(0, f"wrote {out}: 0:01, silent\nwrote {out.parent}/notes.mid: 0:01, 0 notes\n", "")
        finally:
            self.at_once -= 1


@pytest.fixture(autouse=True)
def unchecked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes any bytes for a sound, but in the test of overviews."""

    async def check(overviews: Overviews, path: Path, name: str) -> None:
        return None

    if "overview" not in request.node.name:
        monkeypatch.setattr(Overviews, "check", check)


@pytest.fixture
def perform(monkeypatch: pytest.MonkeyPatch) -> FakePerform:
    fake = FakePerform()
    monkeypatch.setattr(board_module, "perform", fake)
    monkeypatch.setattr(board_module, "places", lambda: 2)
    return fake


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def until(state: JobState, board: JobBoard, key: str) -> Job:
    await comes(lambda: board.jobs[key].state is state, f"job {key} is {state}")
    return board.jobs[key]


def task(file: str = "") -> Task:
    return Task("run", "echo", file, ".wav", {"time": 0.5}, {"plugin": "echo", "force": True})


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[JobBoard]:
    made = JobBoard(tmp_path)
    yield made
    await made.close()


async def test_a_file_is_kept_in_a_folder_under_its_name_and_once(tmp_path: Path) -> None:
    board = JobBoard(tmp_path / "board")
    folder = tmp_path / "library/files"
    first = await board.receive("song.wav", pieces(b"one"))
    other = await board.receive("song.wav", pieces(b"two"))
    assert [board.keep(key, folder) for key in (first.id, other.id, first.id)] == ["song.wav", "song-2.wav", "song.wav"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"song.wav": b"one", "song-2.wav": b"two"}
    hidden = await board.receive(".song.wav", pieces(b"one"))
    with pytest.raises(FileError, match="begins with a dot"):
        board.keep(hidden.id, folder)
    await board.close()


async def test_a_job_runs_and_leaves_its_results(tmp_path: Path, perform: FakePerform) -> None:
    changes: list[Job] = []
    board = JobBoard(tmp_path, changes.append)
    file = await board.receive("a/ta\u0308ke 1.wav", pieces(b"ab", b"c"))
    assert (file.name, file.bytes, board.files.path(file.id).read_bytes()) == ("a_t\u00e4ke 1.wav", 3, b"abc")
    job = board.add(task(file.id))
    perform.allowed.set()
    done = await until(JobState.DONE, board, job.id)
    assert done.summary == "wrote out.wav: 0:01, silent; wrote notes.mid: 0:01, 0 notes"
    assert dict(done.results) == {"out.wav": 5}
    assert board.result(job.id, "").read_bytes() == b"sound"
    assert [change.state for change in changes] == ["waiting", "running", "running", "running", "done"]
    assert [change.progress for change in changes] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert [change.stage for change in changes] == ["", "", "reading", "", ""]
    await board.close()


async def test_few_run_at_once_in_the_order_they_came(perform: FakePerform, board: JobBoard) -> None:
    keys = [board.add(task()).id for _ in range(5)]
    await asyncio.sleep(0)
    perform.allowed.set()
    for key in keys:
        await until(JobState.DONE, board, key)
    assert perform.most == 2
    assert perform.began == keys


async def test_an_example_gives_way_to_work_of_ones_own(perform: FakePerform, board: JobBoard) -> None:
    examples = [board.add(replace(task(), later=True)).id for _ in range(3)]
    await until(JobState.RUNNING, board, examples[1])
    own = board.add(task()).id
    assert [board.jobs[key].state for key in examples] == ["waiting", "running", "waiting"]
    await until(JobState.RUNNING, board, own)
    perform.allowed.set()
    for key in (own, *examples):
        await until(JobState.DONE, board, key)
    assert perform.began == [*examples[:2], own, examples[0], examples[2]]


async def test_a_failure_is_the_commands_sentence_and_leaves_nothing(perform: FakePerform, board: JobBoard) -> None:
    perform.complaint = "take.wav is no sound"
    perform.allowed.set()
    failed = await until(JobState.FAILED, board, board.add(task()).id)
    assert failed.error == "take.wav is no sound"
    assert not board.files.results(failed.id).exists()
    with pytest.raises(AntiphonError, match="no results"):
        board.result(failed.id, "")


async def test_cancelled_while_it_runs_and_while_it_waits(perform: FakePerform, board: JobBoard) -> None:
    keys = [board.add(task()).id for _ in range(3)]
    await until(JobState.RUNNING, board, keys[1])
    assert board.cancel(keys[2]).state is JobState.CANCELLED
    assert board.cancel(keys[0]).state is JobState.CANCELLED
    perform.allowed.set()
    await until(JobState.DONE, board, keys[1])
    assert [board.jobs[key].state for key in keys] == ["cancelled", "done", "cancelled"]
    assert perform.began == keys[:2]
    board.cancel(keys[0])
    with pytest.raises(AntiphonError, match="no job"):
        board.job(keys[0])


async def test_a_disk_that_is_full_delays_no_job_and_is_said_once(
    tmp_path: Path, perform: FakePerform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put, full, tries = JobTable.put, True, 0

    def limited(table: JobTable, job: Job) -> None:
        nonlocal tries
        tries += 1
        if full:
            raise FileError("the table of jobs cannot be used (database or disk is full)")
        put(table, job)

    monkeypatch.setattr(board_module, "RETRY_SECONDS", 0.05)
    board = JobBoard(tmp_path)
    keys = [board.add(task()).id for _ in range(4)]
    monkeypatch.setattr(JobTable, "put", limited)
    perform.allowed.set()
    for key in keys:
        await until(JobState.DONE, board, key)
    with pytest.raises(FileError, match="disk is full"):
        board.add(task())
    assert len(board.jobs) == 4
    board.cancel(keys[0])  # to make room
    assert not board.files.results(keys[0]).exists()
    await comes(lambda: tries > 8, "it is tried again")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    full = False
    await comes(lambda: len(caplog.records) == 2, "it is written")
    assert "written again" in caplog.text
    await board.close()
    again = JobBoard(tmp_path)
    assert {key: str(job.state) for key, job in again.jobs.items()} == dict.fromkeys(keys[1:], "done")
    await again.close()


async def test_a_job_that_is_cancelled_before_its_first_step_gives_its_place_back(
    perform: FakePerform, board: JobBoard
) -> None:
    for _ in range(4):
        board.cancel(board.add(task()).id)
    perform.allowed.set()
    await until(JobState.DONE, board, board.add(task()).id)


async def test_what_begins_while_the_disk_is_full_says_so(
    perform: FakePerform, monkeypatch: pytest.MonkeyPatch, board: JobBoard
) -> None:
    places = board_module.places()
    keys = [board.add(task()).id for _ in range(places + 1)]
    await comes(lambda: len(perform.began) == places, "all places are taken")
    monkeypatch.setattr(files_module, "MIN_FREE", 1 << 60)
    with pytest.raises(StorageFull, match="disk is full"):
        board.add(task())
    perform.allowed.set()
    await until(JobState.FAILED, board, keys[-1])
    assert board.job(keys[-1]).error == "the server's disk is full; free some space, then ask again"


async def test_a_job_fills_no_disk(
    tmp_path: Path, perform: FakePerform, monkeypatch: pytest.MonkeyPatch, board: JobBoard
) -> None:
    monkeypatch.setattr(files_module, "MAX_FOLDER", 300_000)
    file = await board.receive("bomb.flac", pieces(bytes(1000)))
    perform.allowed.set()
    await until(JobState.DONE, board, board.add(task(file.id)).id)
    assert perform.options == {"most": 299_000}
    # what the bound does to a process that writes more
    (tmp_path / "in.json").write_text(json.dumps(list(range(5000))))
    for most, status in ((1000, 1), (1_000_000, 0)):
        words = [str(tmp_path / "in.json"), str(tmp_path / "out.json")]
        assert (await process.perform(words, module="json.tool", most=most)).status == status
        assert (tmp_path / "out.json").stat().st_size <= most


async def test_what_ran_when_the_process_ended_begins_anew(tmp_path: Path, perform: FakePerform) -> None:
    board = JobBoard(tmp_path)
    file = await board.receive("x.wav", pieces(b"x"))
    key = board.add(task(file.id)).id
    await until(JobState.RUNNING, board, key)
    await board.close()
    again = JobBoard(tmp_path)
    assert again.jobs[key].state is JobState.WAITING
    perform.allowed.set()
    again.start()
    done = await until(JobState.DONE, again, key)
    assert replace(done.task) == task(file.id)
    assert list(again.files.entries) == [file.id]
    await again.close()


async def test_two_servers_do_not_share_the_work(tmp_path: Path, board: JobBoard) -> None:
    with pytest.raises(FileError, match="another server of yours"):
        JobBoard(tmp_path)


async def test_a_file_that_a_job_needs_stays(perform: FakePerform, board: JobBoard) -> None:
    file = await board.receive("x.wav", pieces(b"x"))
    key = board.add(task(file.id)).id
    with pytest.raises(AntiphonError, match="cancel it first"):
        board.remove_file(file.id)
    board.cancel(key)
    board.remove_file(file.id)
    with pytest.raises(AntiphonError, match="no file"):
        board.files.path(file.id)


async def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, board: JobBoard) -> None:

    async def broken() -> AsyncIterator[bytes]:
        yield b"a" * 500_000
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await board.receive("x.wav", broken())
    for name, word in (("x.exe", "ends in"), ("x", "ends in"), ("x.wav", "empty")):
        with pytest.raises(AntiphonError, match=word):
            await board.receive(name, pieces())
    assert list((tmp_path / "files").iterdir()) == []
    assert board.files.entries == {}


async def test_bounds(perform: FakePerform, monkeypatch: pytest.MonkeyPatch, board: JobBoard) -> None:
    monkeypatch.setattr(board_module, "MAX_WAITING", 3)
    monkeypatch.setattr(board_module, "MAX_JOBS", 4)
    monkeypatch.setattr(files_module, "MAX_FILES", 1)
    await board.receive("x.wav", pieces(b"x"))
    with pytest.raises(AntiphonError, match="1 files are here"):
        await board.receive("y.wav", pieces(b"y"))
    first = [board.add(task()).id for _ in range(2)]
    await until(JobState.RUNNING, board, first[1])
    waiting = [board.add(task()).id for _ in range(2)]
    perform.allowed.set()
    await until(JobState.DONE, board, waiting[1])
    newest = board.add(task()).id
    assert first[0] not in board.jobs
    assert not board.files.results(first[0]).exists()
    await until(JobState.DONE, board, newest)
    perform.allowed.clear()
    for _ in range(2):
        await until(JobState.RUNNING, board, board.add(task()).id)
    for _ in range(3):
        board.add(task())
    with pytest.raises(AntiphonError, match="3 jobs wait already"):
        board.add(task())
    monkeypatch.setattr(files_module, "MAX_FOLDER", 0)
    with pytest.raises(AntiphonError, match="more than"):
        board.files.check_room()


async def test_room_is_counted_without_a_look_at_the_folder(
    tmp_path: Path, perform: FakePerform, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = JobBoard(tmp_path)
    file = await board.receive("x.wav", pieces(b"abc"))
    perform.allowed.set()
    done = await until(JobState.DONE, board, board.add(task(file.id)).id)
    assert board.files.size == 3 + 5
    monkeypatch.setattr(files_module, "MAX_FOLDER", 7)
    with pytest.raises(AntiphonError, match="more than"):
        board.add(task(file.id))
    await board.close()
    (tmp_path / "results" / "of a job that is forgotten").mkdir()
    again = JobBoard(tmp_path)
    assert again.files.size == 3 + 5
    assert [folder.name for folder in (tmp_path / "results").iterdir()] == [done.id]
    again.cancel(done.id)
    assert again.files.size == 3
    monkeypatch.setattr(files_module, "BUFFER", 4)
    with pytest.raises(AntiphonError, match="more than"):
        await again.receive("y.wav", pieces(b"abcd", b"abcd"))
    again.remove_file(file.id)
    assert again.files.size == 0
    await again.close()


async def test_a_job_works_on_the_result_of_another(tmp_path: Path, perform: FakePerform) -> None:
    seen: list[int] = []
    board = JobBoard(tmp_path, listed=lambda: seen.append(len(board.jobs)))
    file = await board.receive("take.wav", pieces(b"abc"))
    first = board.add(task(file.id)).id
    with pytest.raises(AntiphonError, match="has no results; it is"):
        board.path(first)
    perform.allowed.set()
    await until(JobState.DONE, board, first)
    assert board.path(first).read_bytes() == b"sound"
    assert board.name(first) == "take echo.wav"
    perform.allowed.clear()
    second = board.add(task(first)).id
    assert board.name(second) == "take echo echo.wav"
    with pytest.raises(AntiphonError, match="works on this"):
        board.cancel(first)
    perform.allowed.set()
    await until(JobState.DONE, board, second)
    third = board.repeat(second).id
    assert board.jobs[third].task == board.jobs[second].task
    await until(JobState.DONE, board, third)
    board.cancel(first)
    with pytest.raises(AntiphonError, match="no file"):
        board.repeat(second)
    assert seen == [0, 2]  # a file came, a job was forgotten
    await board.close()


@pytest.mark.parametrize("content", [b"no table at all" * 100, b""])
def test_a_damaged_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(content)
    if not content:
        JobTable(tmp_path).close()
        return
    for _ in range(2):  # the first one must not keep the lock
        with pytest.raises(FileError, match="move its folder away"):
            JobTable(tmp_path)


async def test_a_damaged_row_is_a_sentence_however_often_it_is_read(tmp_path: Path) -> None:
    await JobBoard(tmp_path).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
        base.execute("INSERT INTO job VALUES ('x', '{', 'done', '', '', 0, 0, '{}')")
    base.close()
    for _ in range(2):
        with pytest.raises(FileError, match="is damaged; move its folder away"):
            JobBoard(tmp_path)


async def test_a_file_that_the_table_does_not_take_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(table: JobTable, file: Upload) -> None:
        raise FileError("the table of jobs cannot be used (database or disk is full)")

    monkeypatch.setattr(JobTable, "put_file", full)
    board = JobBoard(tmp_path)
    with pytest.raises(FileError, match="disk is full"):
        await board.receive("x.wav", pieces(b"x"))
    assert (list((tmp_path / "files").iterdir()), board.files.size) == ([], 0)
    await board.close()


def test_a_newer_table_is_left_alone(tmp_path: Path) -> None:
    JobTable(tmp_path).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
        base.execute("PRAGMA user_version=99")
    with pytest.raises(FileError, match="newer version"):
        JobTable(tmp_path)
