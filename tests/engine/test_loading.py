"""What is noted of the loader, for whoever looks after its engine."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.local import CATALOG

from antiphon.kernel.engine.plans import loading
from antiphon.kernel.engine.plans.loading import NOTED, LoadingNote, Prepared
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.runtime.processes import scheduling
from antiphon.kernel.runtime.processes.child_process import DEVICE_GONE
from antiphon.kernel.supervisor import watchdog
from antiphon.kernel.supervisor.watchdog import Hang


@pytest.fixture
def shared() -> Iterator[Shared]:
    made = Shared.create(MappingShape(48000, 64, 2, 16))
    yield made
    os.close(made.fd)


def test_what_a_node_is_prepared_with_tells_it_from_itself() -> None:
    lag, plain = CATALOG["lag"], Prepared.of(3, CATALOG["lag"], {})
    assert Prepared.of(3, lag, {"frames": 100, "wet": 0.5}) == plain, "its default, and a value that needs no new plan"
    assert Prepared.of(3, lag, {"frames": 101}) != plain
    assert Prepared.of(4, lag, {}) != plain


def test_as_many_are_noted_as_there_is_room_for_and_the_oldest_go(shared: Shared) -> None:
    note = LoadingNote(shared)
    for number in range(1, NOTED + 6):
        note.begin_prepare(Prepared(number, -number), f"n{number}")
        assert note.name == f"n{number}"
        assert note.engine_ended(at_fault=True) == f"n{number}"
        assert note.name == ""
    assert {node.number for node in LoadingNote(shared).blamed} == set(range(6, NOTED + 6))
    note.keep([Prepared(9, -9), Prepared(10, 0), Prepared(1, -1)])
    assert note.blamed == {Prepared(9, -9)}


def test_a_name_that_is_too_long_for_its_place_is_cut(shared: Shared) -> None:
    note = LoadingNote(shared)
    note.begin_prepare(Prepared(1, 1), "n" * 200)
    assert note.name == "n" * 64
    note.begin_close("b")
    assert note.name == "b"


def test_the_loader_has_hung_once_it_has_been_at_one_thing_for_too_long(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, now, words = LoadingNote(shared), [1_000_000_000], shared.words
    monkeypatch.setattr(loading.time, "monotonic_ns", lambda: now[0])
    watch = watchdog.HangWatch(words, note, interval=1.0)
    words[HeaderWord.ENGINE_STATE] = 2

    def hang(seconds: int = 0, pid: int = 0) -> str:
        """What is found by the last of the looks, one a second."""
        for _ in range(seconds):
            now[0] += 1_000_000_000
            watch.engine(pid, "headless")
        return watch.engine(pid, "headless")[1]

    assert hang(20) == "", "it has not begun"
    note.begin_prepare(Prepared(1, 1), "n")
    hang()
    assert hang(round(watchdog.LOAD_SECONDS)) == ""
    assert hang(1).endswith(" at the node n; ending the engine")
    words[HeaderWord.ENGINE_STATE] = 1
    assert hang() == "", "another engine starts"
    words[HeaderWord.ENGINE_STATE] = 2
    note.beat()
    assert hang() == ""
    now[0] += round(2 * watchdog.LOAD_SECONDS * 1e9)
    assert hang() == "", "the watcher was late itself"
    waits = scheduling.ThreadTimes
    monkeypatch.setattr(scheduling, "thread_times", lambda _pid: {"1": waits(0, now[0] // 2, False)})
    hang()
    assert hang(round(1.5 * watchdog.LOAD_SECONDS)) == "", "it waited for a processor half of the time"
    assert "at the node" not in hang(round(watchdog.LOAD_SECONDS))
    assert "hung" in hang()
    watchdog.forget(words, note)
    assert hang() == ""


@pytest.mark.parametrize(
    ("code", "hung", "blamed"),
    [
        (-signal.SIGSEGV, Hang.NONE, 5), (-signal.SIGKILL, Hang.NONE, 0), (-signal.SIGKILL, Hang.LOOP, 5),
        (-signal.SIGTERM, Hang.NONE, 0), (0, Hang.NONE, 0), (1, Hang.NONE, 5), (DEVICE_GONE, Hang.NONE, 0),
    ],
)  # fmt: skip
def test_the_node_of_the_block_is_to_blame_for_an_end_that_nobody_asked_for(
    shared: Shared, code: int, hung: Hang, blamed: int
) -> None:
    words, note = shared.words, LoadingNote(shared)
    words[HeaderWord.AT_WORK] = 5
    assert watchdog.blame(words, note, code, hung) == ""
    assert (words[HeaderWord.BLAMED], words[HeaderWord.AT_WORK]) == (blamed, 0)
    words[HeaderWord.AT_WORK] = 5
    note.begin_prepare(Prepared(6, 1), "n")
    assert watchdog.blame(words, note, code, hung) == ("n" if blamed else "")
    assert words[HeaderWord.BLAMED] == 0, "what is new is the likelier one"


def test_the_node_of_the_block_has_no_part_in_a_loader_that_hung(shared: Shared) -> None:
    words, note = shared.words, LoadingNote(shared)
    words[HeaderWord.AT_WORK] = 5
    note.begin_close("n")
    assert watchdog.blame(words, note, -signal.SIGKILL, Hang.LOADER) == ""
    assert (words[HeaderWord.BLAMED], words[HeaderWord.AT_WORK]) == (0, 0)
    note.begin_prepare(Prepared(6, 1), "n")
    assert watchdog.blame(words, note, -signal.SIGKILL, Hang.LOADER) == "n"
    assert words[HeaderWord.BLAMED] == 0
