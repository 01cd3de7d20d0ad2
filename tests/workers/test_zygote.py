"""Who keeps workers may die too: another takes over, or nothing of it is left."""

import gc
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sources import PYTHONPATH
from tests.waiting import until
from tests.workers.rig import Rig, gone, hops, pid, put, runs, through, words
from tests.workers.steppers import pole, spec

from antiphon.kernel.errors import WorkerError, WorkerLost
from antiphon.kernel.workers import zygote
from antiphon.kernel.workers.arena import FIRST_KINDS, MAX_KINDS, Arena, Bells, State, WorkerWord
from antiphon.kernel.workers.pool import HopStart, use as use_pool
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.kernel.workers.status import Health, news, wanted_zygotes, workers
from antiphon.kernel.workers.zygote import module_of
from antiphon.networks import lockstep
from antiphon.web.control_status import describe_worker

ROOT = Path(__file__).parents[2]


def test_a_killed_zygote_takes_its_workers_with_it_and_another_makes_them_anew(own_rig: Rig) -> None:
    streams = [own_rig.open(spec("Pole", name=f"model {n}"), node=n) for n in (1, 2)]
    x = hops(5)
    for stream in streams:
        through(own_rig, stream, 0, x)
    before, zygote = [pid(s) for s in streams], own_rig.zygote
    os.kill(zygote, signal.SIGKILL)
    os.waitpid(zygote, 0)
    until(lambda: all(map(gone, before)), 2.0, "its workers ended with it")
    # nobody has noticed: the hops come too late, and that is all
    own_rig.patient(0.01)
    assert put(streams[0], 5, x[0]) is HopStart.CONTINUES
    assert streams[0].take(5) is None
    own_rig.start()
    for stream in streams:
        until(lambda s=stream: words(s)[WorkerWord.RESTARTS] == 1, 10, "the death is noticed")
        runs(stream)
        assert stream.entry.reason == "ended with its parent process"
        assert stream.start(6) is HopStart.BEGINS
        np.testing.assert_allclose(through(own_rig, stream, 6, x[:1])[0], pole(x[0], 0.0)[0], atol=1e-6)
    assert not set(before) & {pid(s) for s in streams}


def test_a_worker_that_outlived_its_zygote_is_ended_by_the_next(own_rig: Rig) -> None:
    stream = own_rig.open(spec())
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    kept = words(stream)[WorkerWord.PID]
    os.kill(own_rig.zygote, signal.SIGKILL)
    os.waitpid(own_rig.zygote, 0)
    until(lambda: gone(kept), 2.0, "the worker ended")
    words(stream)[WorkerWord.PID] = stray.pid
    own_rig.start()
    assert stray.wait(60) == -signal.SIGKILL
    until(lambda: words(stream)[WorkerWord.RESTARTS] == 1, 10, "the death is noticed")
    runs(stream)


@pytest.mark.parametrize("end", ["lifeline", "term"])
def test_a_zygote_ends_with_all_its_workers(own_rig: Rig, end: str) -> None:
    streams = [own_rig.open(spec(name=f"model {n}")) for n in range(3)]
    pids = [pid(s) for s in streams]
    os.kill(pids[1], signal.SIGSTOP)
    if end == "lifeline":
        os.close(own_rig.lifeline)
        own_rig.lifeline = -1
    else:
        os.kill(own_rig.zygote, signal.SIGTERM)
    _, status = os.waitpid(own_rig.zygote, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    until(lambda: all(map(gone, pids)), 2.0, "nothing is left")
    own_rig.start()


def test_a_worker_that_waits_is_waited_for_by_the_next_zygote(own_rig: Rig, tmp_path: Path) -> None:
    there = tmp_path / "there"
    stream = own_rig.open(spec("Joins", settings={"by": str(there)}))
    assert stream.entry.state == State.WAITING
    os.kill(own_rig.zygote, signal.SIGKILL)
    os.waitpid(own_rig.zygote, 0)
    there.touch()
    own_rig.start()
    runs(stream)


def test_a_zygote_forks_only_its_own_kind(own_rig: Rig) -> None:
    other, mine = own_rig.pool.open(replace(spec(name="heavy"), zygote="torch")), own_rig.pool.open(spec())
    runs(mine)
    assert other.entry.state == State.NONE
    assert wanted_zygotes(own_rig.arena) == {"none", "torch"}


SCRIPT = """
import os, sys
from antiphon.kernel.workers.arena import WorkerWord
from antiphon.networks import lockstep
from tests.workers.steppers import spec

streams = [lockstep.current().open(spec(name=f"model {n}")) for n in range(2)]
kept = lockstep.current()._lifelines["none"][0]
print(kept, *(s.entry.words[WorkerWord.PID] for s in streams), flush=True)
if sys.argv[1] == "wait":
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_a_command_that_ends_or_dies_leaves_no_process(end: str) -> None:
    argument = "wait" if end == "kill" else "go"
    path = os.pathsep.join([PYTHONPATH, str(ROOT)])
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )
    with child:
        assert child.stdout is not None
        pids = [int(word) for word in child.stdout.readline().split()]
        assert len(pids) == 3
        if end == "kill":
            child.kill()
        assert child.wait(60) == (-signal.SIGKILL if end == "kill" else 0)
    until(lambda: all(map(gone, pids)), 2.0, f"nothing is left of {pids}")


def test_a_file_does_not_wait_for_a_zygote_that_is_gone() -> None:
    pool = lockstep.Lockstep()
    try:
        stream, x = pool.open(spec()), hops(4)
        through_lockstep(stream, 0, x[:2])
        os.kill(pool._lifelines["none"][0], signal.SIGKILL)
        until(lambda: gone(pid(stream)), 2.0, "the worker ended with it")
        with pytest.raises(WorkerLost, match=r"the parent process of the workers \(none\) has ended; start"):
            through_lockstep(stream, 2, x[2:])
        stream.close()
        again = pool.open(spec())
        np.testing.assert_array_equal(np.stack(through_lockstep(again, 0, x)), x)
    finally:
        pool.shut()


def test_a_pool_that_is_shut_leaves_no_descriptors() -> None:
    def descriptors() -> int:
        gc.collect()  # a mapping has a descriptor of its own
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    pool = lockstep.Lockstep()
    through_lockstep(pool.open(spec()), 0, hops(2))
    assert descriptors() > before
    for _ in range(2):
        pool.shut()
    del pool
    assert descriptors() == before


def test_two_threads_at_once_have_one_pool_one_zygote_and_a_slot_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is begun by one thread while another has come as far: that one waits, or has made a second by then."""
    found, streams, starts = [], [], []
    make, start = lockstep.Lockstep, lockstep.spawn
    others = [
        threading.Thread(target=lambda: found.append(lockstep.current())),
        threading.Thread(target=lambda: streams.append(found[0].open(spec()))),
    ]

    def overtaken(work: Any, other: threading.Thread, *given: Any) -> Any:
        if not other.is_alive() and other.ident is None:
            other.start()
            other.join(0.2)
        return work(*given)

    def started(*given: Any) -> Any:
        starts.append(given)
        return overtaken(start, others[1], *given)

    monkeypatch.setattr(lockstep, "Lockstep", lambda: overtaken(make, others[0]))
    monkeypatch.setattr(lockstep, "spawn", started)
    use_pool(None)
    try:
        pool = lockstep.current()
        others[0].join()
        assert found == [pool]
        streams.append(pool.open(spec()))
        others[1].join()
        assert len(starts) == 1
        assert len({(one.entry.number, one.slot) for one in streams}) == 2
    finally:
        for made in {id(made): made for made in (lockstep.current(), *found)}.values():
            made.shut()
        use_pool(None)


def through_lockstep(stream, first: int, x: np.ndarray) -> list[np.ndarray]:
    said = []
    for n, sound in enumerate(x, first):
        put(stream, n, sound)
        given = stream.take(n)
        assert given is not None
        said.append(given.copy())
    return said


def test_what_is_said_of_nodes() -> None:
    well, fell = Health("running", "", 0, ""), Health("restarting", "its worker ended", 1, "ended")
    given_up = Health("failed", "three times", 3, "ended")
    assert news({}, {1: well, 2: Health("running", "", 7, "of old")}) == []
    assert news({}, {1: Health("starting", "", 0, "")}) == [(1, "starting", "")]
    assert news({1: well, 2: well}, {1: well, 2: fell}) == [(2, "restarting", "its worker ended")]
    assert news({1: fell}, {1: Health("restarting", "its worker ended", 2, "ended")}) == []
    assert news({1: fell}, {1: Health("running", "", 1, "ended")}) == [(1, "running", "")]
    assert news({1: well}, {1: given_up}) == [(1, "failed", "three times")]
    # it was back before anybody looked
    quick = Health("running", "", 1, "was killed by SIGKILL")
    assert news({1: well}, {1: quick}) == [(1, "restarting", "its worker was killed by SIGKILL"), (1, "running", "")]


HERE = "tests.workers.test_zygote"


def test_every_process_finds_a_kind_at_the_same_place() -> None:
    arena = Arena.create(1)
    assert [arena.place_of(kind) for kind in FIRST_KINDS] == [0, 1]
    assert arena.place_of("lute") == 2
    other = Arena(arena.fd)
    assert [other.place_of(kind) for kind in ("harp", "lute", "none")] == [3, 2, 1]
    assert arena.place_of("harp") == 3


def test_there_are_so_many_kinds_and_no_more() -> None:
    arena = Arena.create(1)
    for n in range(MAX_KINDS - len(FIRST_KINDS)):
        arena.place_of(f"kind {n}")
    with pytest.raises(WorkerError, match="'one more' would be another"):
        arena.place_of("one more")
    for name in ("", "x" * 64):
        with pytest.raises(WorkerError, match="1 to 63 bytes"):
            arena.place_of(name)


def wanted(arena: Arena, spec: WorkerSpec) -> memoryview:
    """The words of a worker with one stream."""
    entry = arena.entries[0]
    entry.set_spec(spec)
    entry.words[WorkerWord.WANTED] = 1
    entry.slots[0, 0] = 1
    return entry.words


def test_a_zygote_imports_what_the_workers_of_its_kind_name() -> None:
    arena = Arena.create(1)
    assert module_of("torch", arena) == "torch"
    wanted(arena, WorkerSpec("lute", "lute:Lute", zygote="lute", imports="lute.heavy"))
    assert module_of("lute", arena) == "lute.heavy"
    assert module_of("torch", arena) == "torch"


def test_a_worker_that_is_stopped_while_it_starts_is_started_again_and_runs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zygote, "_READY_SECONDS", 0.5)
    arena, bells = Arena.create(1), Bells.make()
    its = wanted(arena, spec("Stopped", settings={"by": str(tmp_path / "stopped")}))
    parent = zygote.Zygote("none", arena, bells)
    try:
        for state in (State.WAITING, State.RUNNING):
            until(lambda: parent.look() or its[WorkerWord.STATE] == state, 60.0, f"it is {state.name}")  # noqa: B023
            assert arena.entries[0].reason == ("was not ready within 0.5 s" if state == State.WAITING else "")
            monkeypatch.undo()  # a busy machine starts the next one later than that
    finally:
        its[WorkerWord.WANTED] = its[WorkerWord.LEFT_NS] = 0
        until(lambda: parent.look() or its[WorkerWord.STATE] == State.NONE, 60.0, "it ends")


def describe(said: dict[str, Any], own: tuple[int, ...], settings: dict[str, Any]) -> dict[str, Any]:
    return {"restarts": said["restarts"] + own[0], "strings": own[1], **settings}


def fails(*_given: Any) -> dict[str, Any]:
    raise ValueError("no words")


def test_own_words_are_said_by_the_plugin() -> None:
    arena = Arena.create(1)
    words = wanted(arena, WorkerSpec("lute", "lute:Lute", settings={"wood": "plum"}, describe=f"{HERE}:describe"))
    words[WorkerWord.OWN], words[WorkerWord.OWN + 1] = 2, 13
    (found,) = workers(arena)
    assert describe_worker(found, {"restarts": 1, "pid": 5}) == {"restarts": 3, "pid": 5, "strings": 13, "wood": "plum"}


@pytest.mark.parametrize(("where", "why"), [("fails", "ValueError: no words"), ("nothing", "has no 'nothing'")])
def test_what_cannot_be_said_is_no_end_of_the_status(where: str, why: str) -> None:
    arena = Arena.create(1)
    wanted(arena, WorkerSpec("lute", "lute:Lute", describe=f"{HERE}:{where}"))
    (found,) = workers(arena)
    said = describe_worker(found, {"pid": 5, "reason": ""})
    assert said["pid"] == 5
    assert why in said["reason"]
