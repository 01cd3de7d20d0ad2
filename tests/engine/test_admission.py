"""What a plan is measured to cost, and what is said of it."""

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import ClassVar

import pytest
from tests.local import CATALOG
from tests.waiting import until

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.plans import admission, loading
from antiphon.kernel.engine.plans.admission import LoadEstimator, Share, admission_of, run_weigher, try_node
from antiphon.kernel.engine.plans.loading import MAX_NOTED_NODES, LoadingNote, PreparedNode
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.platform import PORTABLE, anonymous_file
from antiphon.kernel.runtime.processes import scheduling
from antiphon.kernel.runtime.processes.child_process import DEVICE_GONE, leave, socket_pair
from antiphon.kernel.supervisor import watchdog
from antiphon.kernel.supervisor.watchdog import Hang

SPEC = StreamSpec(48000, 256, 2)
PERIOD = 256 / 48.0


class Busy(Processor):
    """Burns so many ms of CPU a block."""

    params = (Param("ms", default=1.0, low=0.0, high=50.0, restart=True),)

    def process(self, io):
        end = time.thread_time_ns() + int(self.settings["ms"] * 1e6)
        while time.thread_time_ns() < end:
            pass
        io.audio_out[0][:] = io.audio_in[0]


class Hindered(Processor):
    """Takes more than a block while a file is there."""

    flag: ClassVar[Path] = Path()

    def prepare(self, spec):
        self.hindered = self.flag.exists()

    def process(self, io):
        end = time.thread_time_ns() + 8_000_000 * self.hindered
        while time.thread_time_ns() < end:
            pass
        io.audio_out[0][:] = io.audio_in[0]


class Counted(Processor):
    """Says what it takes to a clock that goes by nothing else: a millisecond, and in two blocks a hundred."""

    now = 0

    def prepare(self, spec):
        self.block = 0

    def process(self, io):
        Counted.now += 100_000_000 if self.block in (0, 5) else 1_000_000
        self.block += 1
        io.audio_out[0][:] = io.audio_in[0]


class Fails(Processor):
    def prepare(self, spec):
        raise ValueError("no")

    def process(self, io):
        pass


class Seeded(Processor):
    """One is not like another."""

    params = (Param("seed", "int", 0, 0, 1000, restart=True),)

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0]


class Hangs(Processor):
    """Holds the write end of a pipe while it hangs."""

    held = -1

    def process(self, io):
        os.write(self.held, b"h")
        while True:
            pass


class Dies(Processor):
    def process(self, io):
        os.abort()


KINDS = {
    "busy": Busy,
    "hindered": Hindered,
    "counted": Counted,
    "fails": Fails,
    "seeded": Seeded,
    "hangs": Hangs,
    "dies": Dies,
}


def catalog() -> Catalog:
    kinds = KINDS
    return Catalog({name: inspect_processor(name, kind, name, "test", play=False) for name, kind in kinds.items()})


def make(name: str) -> Processor:
    return KINDS[name]()


def plugins() -> Loaded:
    return Loaded(catalog(), {"processors": {**KINDS}})


def shares(*shares_of: float) -> list[Share]:
    return [Share(f"n{i}", share * PERIOD, PERIOD) for i, share in enumerate(shares_of)]


@pytest.mark.parametrize("asked", [0.5, 3.0])
def test_a_node_is_measured_by_the_cpu_it_takes(asked: float) -> None:
    assert asked * 0.95 <= try_node(NodeSpec("b", "busy", {"ms": asked}), catalog(), make, SPEC)


def test_its_first_block_its_costliest_and_the_clock_on_the_wall_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "thread_time_ns", lambda: Counted.now)
    assert try_node(NodeSpec("c", "counted"), catalog(), make, SPEC) == 1.0


def test_what_every_trial_costs_is_no_cost_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock whose reading takes a fifth of a millisecond: a block of 64 frames has room for six of those."""
    read = count(step=200_000)
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(read) + Counted.now)
    nodes = [NodeSpec("s", "seeded"), NodeSpec("c", "counted")]
    said = admission._try_all(nodes, plugins, {}, StreamSpec(48000, 64, 2), anonymous_file("trial", mmap.PAGESIZE))
    assert json.loads(said) == {"costs": [0.0, 1.0]}


def test_a_node_that_will_not_prepare_says_why() -> None:
    with pytest.raises(PluginError, match="would not prepare: ValueError: no"):
        try_node(NodeSpec("f", "fails"), catalog(), make, SPEC)


def test_more_than_a_block_is_refused_with_the_numbers() -> None:
    said = admission_of(shares(0.6, 0.7), [], 2).refused
    assert "130% of a block of 5.33 ms" in said
    assert "n1 3.73 ms, n0 3.20 ms" in said
    assert "--block" in said


def test_nearly_a_block_is_warned_about() -> None:
    verdict = admission_of(shares(0.8), [], 2)
    assert not verdict.refused
    assert "80% of a block" in verdict.warning


def test_a_model_slower_than_its_hop_is_refused() -> None:
    said = admission_of(shares(0.1), [Share("big", 14.0, 10.0)], 2).refused
    assert said == "the model big takes 14.0 ms for each 10.0 ms hop: it cannot keep up on this machine"
    assert "big takes 8.0 ms" in admission_of([], [Share("big", 8.0, 10.0)], 2).warning


def test_all_of_it_has_to_fit_the_cores() -> None:
    workers = [Share(f"m{i}", 6.0, 10.0) for i in range(4)]
    assert "2.4 of 2 cores" in admission_of([], workers, 2).refused
    assert admission_of([], workers, 8) == admission_of([], [], 8)


@pytest.fixture
def weigher(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LoadEstimator, int]]:
    """A loader's end, and the process at the other."""
    monkeypatch.setattr(admission, "TRIAL_LIMIT", 100.0)
    there, here = socket_pair()
    pid = os.fork()
    if not pid:
        leave(lambda: run_weigher(there, plugins().catalog, plugins, SPEC))
    yield LoadEstimator(SPEC, here), pid
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    there.close()
    here.close()


@pytest.fixture
def flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file while which is there `hindered` takes more than a block."""
    monkeypatch.setattr(Hindered, "flag", tmp_path / "flag")
    Hindered.flag.touch()
    return Hindered.flag


@pytest.mark.skipif(PORTABLE, reason="the trial is a fresh interpreter, which has not this test's file")
def test_what_would_be_refused_is_measured_again(flag: Path, weigher: tuple[LoadEstimator, int]) -> None:
    node = NodeSpec("h", "hindered")
    assert weigher[0].measure([node], patience=120.0)[0] > PERIOD
    flag.unlink()
    assert weigher[0].measure([node], patience=120.0)[0] < 0.5 * PERIOD
    flag.touch()
    assert weigher[0].measure([node], patience=120.0)[0] < 0.5 * PERIOD


def test_as_many_nodes_as_a_patch_holds_are_weighed(weigher: tuple[LoadEstimator, int]) -> None:
    nodes = [NodeSpec(f"n{i}", "seeded", {"seed": i}) for i in range(256)]
    assert len(weigher[0].measure(nodes, patience=120.0)) == 256


def test_the_node_that_did_not_survive_its_trial_is_named(weigher: tuple[LoadEstimator, int]) -> None:
    nodes = [NodeSpec("fine", "busy", {"ms": 0.0}), NodeSpec("bad", "dies"), NodeSpec("after", "busy", {"ms": 0.1})]
    with pytest.raises(PluginError, match=r"^bad \(dies\) did not survive its trial: .* SIGABRT$"):
        weigher[0].measure(nodes, patience=120.0)


@pytest.mark.skipif(PORTABLE, reason="the trial is a fresh interpreter, which has not this test's pipe")
def test_a_trial_ends_with_the_weigher() -> None:
    """A node that hangs would otherwise keep a core busy after the server has ended."""
    read, Hangs.held = os.pipe()
    there, here = socket_pair()
    pid = os.fork()
    if not pid:
        os.close(read)
        leave(lambda: run_weigher(there, plugins().catalog, plugins, SPEC))
    os.close(Hangs.held)
    here.send(b'{"number": 1, "nodes": [["h", "hangs", {}]]}')
    assert os.read(read, 1) == b"h"
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    poll = select.poll()  # select takes no descriptor above 1023
    poll.register(read, select.POLLIN)
    assert poll.poll(60_000), "the trial's process still holds the pipe"
    os.close(read)
    there.close()
    here.close()


@pytest.fixture
def shared() -> Iterator[Shared]:
    made = Shared.create(MappingShape(48000, 64, 2, 16))
    yield made
    os.close(made.fd)


def test_what_a_node_is_prepared_with_tells_it_from_itself() -> None:
    lag, plain = CATALOG["lag"], PreparedNode.of(3, CATALOG["lag"], {})
    assert PreparedNode.of(3, lag, {"frames": 100, "wet": 0.5}) == plain, (
        "its default, and a value that needs no new plan"
    )
    assert PreparedNode.of(3, lag, {"frames": 101}) != plain
    assert PreparedNode.of(4, lag, {}) != plain


def test_as_many_are_noted_as_there_is_room_for_and_the_oldest_go(shared: Shared) -> None:
    note = LoadingNote(shared)
    for number in range(1, MAX_NOTED_NODES + 6):
        note.begin_prepare(PreparedNode(number, -number), f"n{number}")
        assert note.name == f"n{number}"
        assert note.note_engine_end(at_fault=True) == f"n{number}"
        assert note.name == ""
    assert {node.number for node in LoadingNote(shared).blamed_nodes} == set(range(6, MAX_NOTED_NODES + 6))
    note.keep([PreparedNode(9, -9), PreparedNode(10, 0), PreparedNode(1, -1)])
    assert note.blamed_nodes == {PreparedNode(9, -9)}


def test_a_name_that_is_too_long_for_its_place_is_cut(shared: Shared) -> None:
    note = LoadingNote(shared)
    note.begin_prepare(PreparedNode(1, 1), "n" * 200)
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
    note.begin_prepare(PreparedNode(1, 1), "n")
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


@pytest.mark.parametrize(("stops", "found"), [(True, Hang.STOPPED), (False, Hang.LOOP)])
def test_an_engine_that_a_signal_has_stopped_is_told_from_one_that_hangs(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, stops: bool, found: Hang
) -> None:
    words = shared.words
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        if stops:
            os.kill(child.pid, signal.SIGSTOP)
        monkeypatch.setattr(watchdog, "HANG_SECONDS", 0.05)
        watch = watchdog.HangWatch(words, LoadingNote(shared), interval=1.0)
        words[HeaderWord.ENGINE_STATE], words[HeaderWord.ALIVE_NS] = 2, 1
        until(lambda: watch.engine(child.pid, "headless")[0] is not Hang.NONE, 5.0, "it is found")
        assert watch.engine(child.pid, "headless")[0] is found
        child.kill()


@pytest.mark.parametrize(
    ("code", "hung", "blamed"),
    [
        (-signal.SIGSEGV, Hang.NONE, 5), (-signal.SIGKILL, Hang.NONE, 0), (-signal.SIGKILL, Hang.LOOP, 5),
        (-signal.SIGTERM, Hang.NONE, 0), (0, Hang.NONE, 0), (1, Hang.NONE, 5), (DEVICE_GONE, Hang.NONE, 0),
        (-signal.SIGKILL, Hang.STOPPED, 0),
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
    note.begin_prepare(PreparedNode(6, 1), "n")
    assert watchdog.blame(words, note, code, hung) == ("n" if blamed else "")
    assert words[HeaderWord.BLAMED] == 0, "what is new is the likelier one"


def test_the_node_of_the_block_has_no_part_in_a_loader_that_hung(shared: Shared) -> None:
    words, note = shared.words, LoadingNote(shared)
    words[HeaderWord.AT_WORK] = 5
    note.begin_close("n")
    assert watchdog.blame(words, note, -signal.SIGKILL, Hang.LOADER) == ""
    assert (words[HeaderWord.BLAMED], words[HeaderWord.AT_WORK]) == (0, 0)
    note.begin_prepare(PreparedNode(6, 1), "n")
    assert watchdog.blame(words, note, -signal.SIGKILL, Hang.LOADER) == "n"
    assert words[HeaderWord.BLAMED] == 0
