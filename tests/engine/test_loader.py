"""A plugin's `prepare` or `close` that raises, hangs or crashes: in the trial it refuses a patch, in the engine it is
left out of the next one. Engines and weighers are forked here, and have a driver of the test's own."""

import faulthandler
import gc
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import to_builtins
from tests.engine.fake_driver import FakeDriver
from tests.waiting import until

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import fit_channel_count
from antiphon.kernel.engine.link import NodeState, NodeVocabulary, PlanLoaded, PlanRefused
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.plans import admission, loader
from antiphon.kernel.engine.plans.loader import Loader, vocabularies
from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.processes.child_process import leave, socket_pair
from antiphon.kernel.session.actions import EngineLoad
from antiphon.kernel.session.commands import SetTempo
from antiphon.kernel.supervisor import watchdog
from antiphon.kernel.supervisor.watchdog import Hang

SPEC = StreamSpec(48000, 256, 2)
LEVEL = 0.5
"""Of the input; a rogue that plays halves it."""
WAYS = ("behave", "raise", "exit", "hang", "crash", "kill")


def _counts() -> memoryview:
    """Words that every process of a test sees, whether it was forked or is a fresh interpreter."""
    path = os.environ.setdefault("ROGUE_COUNTS", os.path.join(os.environ["ANTIPHON_HOME"], f"counts-{os.getpid()}"))
    with open(path, "a+b") as file:
        file.truncate(mmap.PAGESIZE)
        return memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("q")


class Rogue(Processor):
    """Misbehaves in one method of one process. `counts`: shared words, how often it was prepared there; the last is
    how many the engine holds in memory."""

    params = (
        Param("act", "choice", "behave", choices=WAYS, restart=True),
        Param("at", "choice", "prepare", choices=("prepare", "close"), restart=True),
        Param("where", "choice", "both", choices=("both", "engine", "late"), restart=True),
        Param("level", default=0.5, low=0.0, high=1.0),
    )
    counts = _counts()
    in_engine = False

    def prepare(self, spec):
        self.counts[int(self.in_engine)] += 1
        self.counts[3] += self.in_engine
        self.vocabulary = {"s": ("bd", "sd")} if self.settings["at"] == "prepare" else {"s": ("x" * 100,) * 1000}
        self.itself = self.process  # a reference cycle, which only the collector finds
        self.act("prepare")

    def close(self):
        self.act("close")

    def __del__(self):
        self.counts[3] -= self.in_engine

    def act(self, at):
        here = {"both": True, "engine": self.in_engine, "late": bool(self.counts[2])}
        if self.settings["at"] != at or not here[self.settings["where"]]:
            return
        match self.settings["act"]:
            case "raise":
                raise RuntimeError("on purpose")
            case "exit":
                raise SystemExit(3)
            case "hang":
                while True:
                    signal.pause()
            case "crash":
                signal.raise_signal(signal.SIGSEGV)
            case "kill":
                signal.raise_signal(signal.SIGKILL)

    def process(self, io):
        np.multiply(io.audio_in[0], io.value("level"), out=io.audio_out[0])


CATALOG = Catalog({"rogue": inspect_processor("rogue", Rogue, "", "test", play=False)})


PLUGINS = Loaded(CATALOG, {"processors": {"rogue": Rogue}})


def plugins() -> Loaded:
    return PLUGINS


class StartingSynth:
    """Stands for a pool with the synth asked for at the start, whose worker runs once `runs` is set."""

    serial = 1
    streams = ()
    arena = SimpleNamespace(entries=())

    def __init__(self) -> None:
        self.runs = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")

    def is_settled(self, since: int = 0) -> bool:
        return since >= self.serial or bool(self.runs[0])


class Rig:
    """A weigher, an engine and control's end of it."""

    def __init__(self, errors: Path) -> None:
        """errors: what the processes say."""
        self.errors = errors
        self.shared, self.bell = (
            Shared.create(MappingShape.of(SPEC.rate, SPEC.block, SPEC.channels)),
            os.eventfd(0, 0x800),
        )
        self.loading = LoadingNote(self.shared)
        self.engine_end, self.control_end = socket_pair()
        self.weigher_end, self.asking_end = socket_pair()
        self.link = RemoteEngine(self.shared, self.bell, self.control_end)
        self.heard: list[object] = []
        self.pool: Any = None
        self.serial = self.engine = self.weigher = 0
        for place in range(4):
            Rogue.counts[place] = 0
        self.new_weigher()
        self.start_engine()

    def new_weigher(self) -> None:
        if self.weigher:
            os.kill(self.weigher, signal.SIGKILL)
            os.waitpid(self.weigher, 0)
        self.weigher = self._fork(lambda: admission.run_weigher(self.weigher_end, PLUGINS.catalog, plugins, SPEC))

    def start_engine(self) -> None:
        self.engine = self._fork(self._engine)

    def _fork(self, work: Callable[[], int]) -> int:
        pid = os.fork()
        if not pid:
            faulthandler.disable()
            sys.stderr = self.errors.open("a")
            leave(work)
        return pid

    def _engine(self) -> int:
        Rogue.in_engine = True
        gc.disable()  # as the engine does
        words, died = self.shared.words, self.shared.words[HeaderWord.TAP_WRITE]
        driver = FakeDriver(died + 7 if died else 0)
        steady = fit_channel_count(np.full((1, SPEC.block), LEVEL, np.float32), SPEC.channels)
        loop = EngineLoop(GraphPlayer(SPEC), driver, self.shared, self.bell, LoopParts(steady))
        Loader(loop, self.engine_end, PLUGINS, self.pool, self.asking_end).thread.start()
        loop.begin(driver.next, died)
        words[HeaderWord.ENGINE_STATE] = 2
        while loop.run_block():
            time.sleep(0.001)  # the pace of a device
        return 1

    def ask(self, *nodes: tuple[str, dict[str, object]], again: bool = False, tempo: float = 0.0) -> int:
        """Asks for nodes in a row, each numbered by its first letter; the serial."""
        specs = tuple(NodeSpec(name, "rogue", values) for name, values in nodes)
        ends = [End(IN, IN), *(end for n in specs for end in (End(n.name, "in"), End(n.name, "out"))), End(OUT, OUT)]
        wires = tuple(Wire(*two) for two in zip(ends[::2], ends[1::2], strict=True))
        self.serial += 1
        ids = {node.name: ord(node.name[0]) for node in specs}
        self.link.load(EngineLoad(self.serial, Graph(specs, wires), ids, tempo, 0.0, again=again))
        return self.serial

    def load(self, *nodes: tuple[str, dict[str, object]], again: bool = False, tempo: float = 0.0) -> str:
        """The same, and what came of it: why it was refused, or ""."""
        serial = self.ask(*nodes, again=again, tempo=tempo)
        found: list[str] = []

        def answered() -> bool:
            self.heard += self.link.reports()
            for report in self.heard:
                match report:
                    case PlanLoaded(number) if number == serial:
                        found.append("")
                    case PlanRefused(number, reason) if number == serial:
                        found.append(reason)
            return bool(found)

        until(answered, 20.0, "an answer to the load")
        return found[0]

    def failed(self) -> dict[int, str]:
        """Nodes said to have failed until now, and why."""
        self.heard += self.link.reports()
        return {r.node: r.reason for r in self.heard if isinstance(r, NodeState) and r.state == "failed"}

    def plays(self, level: float) -> None:
        """Waits until that level goes out."""
        until(lambda: abs(self.shared.meters[1] - level) < 1e-6, 10.0, f"{level} is heard")

    def ended(self) -> str:
        """Waits until the engine has ended, and notes it as the supervisor does: the node it is said to end at."""
        _, status = os.waitpid(self.engine, 0)
        self.engine = 0
        code = os.waitstatus_to_exitcode(status)
        return watchdog.blame(self.shared.words, self.loading, code, Hang.NONE)

    def close(self) -> None:
        for pid in (self.engine, self.weigher):
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        for end in (self.engine_end, self.control_end, self.weigher_end, self.asking_end):
            end.close()
        os.close(self.bell)
        os.close(self.shared.fd)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    # a trial that a busy machine has no time for is no trial
    monkeypatch.setattr(admission, "TRIAL_LIMIT", 50.0)
    for seconds in ("TIMEOUT_SECONDS", "RESTART_TIMEOUT"):
        monkeypatch.setattr(loader, seconds, 60.0)
    made = Rig(tmp_path / "errors")
    try:
        assert made.load(("good", {})) == ""
        made.plays(LEVEL / 2)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"act": "raise"}, r"bad (rogue) would not prepare: RuntimeError: on purpose"),
        ({"act": "exit"}, r"bad (rogue) would not prepare: SystemExit: 3"),
        ({"act": "hang"}, r"bad (rogue) did not survive its trial: its check took longer than 0.5 s"),
        ({"act": "crash"}, r"bad (rogue) did not survive its trial: its check crashed with SIGSEGV"),
        ({"act": "hang", "at": "close"}, r"bad (rogue) did not survive its trial: its check took longer than 0.5 s"),
    ],
)
def test_what_fails_in_the_trial_refuses_the_patch_and_is_not_prepared_by_the_engine(
    rig: Rig, values: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = Rogue.counts[1]
    if values["act"] == "hang":
        with monkeypatch.context() as patch:
            patch.setattr(admission, "TRIAL_LIMIT", 0.5)
            rig.new_weigher()
    assert rig.load(("good", {}), ("bad", values)) == reason
    assert Rogue.counts[1] == prepared
    rig.plays(LEVEL / 2)
    rig.new_weigher()
    assert rig.load(("good", {}), ("fine", {})) == ""
    rig.plays(LEVEL / 4)


def test_what_raises_in_the_engine_alone_refuses_the_patch(rig: Rig) -> None:
    assert "bad (rogue) would not prepare" in rig.load(("good", {}), ("bad", {"act": "exit", "where": "engine"}))
    assert rig.load(("good", {}), ("fine", {})) == ""
    rig.plays(LEVEL / 4)


def test_what_is_faded_out_or_refused_leaves_the_memory(rig: Rig) -> None:
    for name in "abc":
        assert rig.load((name, {})) == ""
        rig.plays(LEVEL / 2)
        assert "would not prepare" in rig.load(("good", {}), ("x", {"act": "raise", "where": "engine"}))
    until(lambda: Rogue.counts[3] == 1, 5.0, "only the node that plays is there")


def test_a_close_that_raises_is_said_and_plans_go_on(rig: Rig) -> None:
    bad = {"act": "raise", "at": "close"}
    assert rig.load(("bad", bad), ("worse", bad)) == ""
    for _ in range(2):
        assert rig.load(("good", {})) == ""
        rig.plays(LEVEL / 2)
        assert rig.load(("bad", bad)) == ""
    for name in ("bad", "worse"):
        until(lambda: f"{name} (rogue) would not close: " in rig.errors.read_text(), 5.0, name)  # noqa: B023


def test_a_node_that_crashes_the_engine_alone_is_left_out_of_the_next_until_it_has_another_value(rig: Rig) -> None:
    nodes = ("good", {}), ("bad", {"act": "crash", "where": "engine"})
    rig.ask(*nodes)
    assert rig.ended() == "bad"
    for _ in range(2):
        rig.start_engine()
        assert rig.load(*nodes, again=True) == ""
        assert rig.failed() == {
            ord("b"): "hung or crashed the engine while it was prepared: give it another value, "
            "or take it out and put it in again"
        }
        rig.plays(LEVEL / 2)
        # an edit of others does not bring it back, and costs no engine
        assert rig.load(*nodes, ("fine", {})) == ""
        rig.plays(LEVEL / 4)
        rig.heard.clear()
        os.kill(rig.engine, signal.SIGKILL)
        assert rig.ended() == ""
    rig.start_engine()
    assert rig.load(*nodes, again=True) == ""
    assert rig.load(("good", {}), ("bad", {})) == ""
    rig.plays(LEVEL / 4)
    assert NodeState(ord("b"), "running") in rig.heard


def test_the_first_plan_waits_for_the_synth_asked_for_at_the_start_and_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "WORKER_TIMEOUT", 600.0)
    monkeypatch.setattr(watchdog, "LOAD_SECONDS", 600.0)
    rig.pool, words = StartingSynth(), rig.shared.words

    def anew() -> None:
        os.kill(rig.engine, signal.SIGKILL)
        rig.ended()
        rig.start_engine()

    anew()
    rig.heard.clear()
    rig.ask(("good", {}))
    first = words[HeaderWord.HEARTBEAT]
    until(lambda: words[HeaderWord.HEARTBEAT] > first + 300, 20.0, "blocks go by")
    rig.heard += rig.link.reports()
    assert not any(isinstance(report, PlanLoaded) for report in rig.heard)
    rig.pool.runs[0] = 1
    rig.plays(LEVEL / 2)
    rig.pool.runs[0] = 0
    assert rig.load(("good", {}), ("fine", {})) == ""
    anew()
    assert rig.load(("good", {}), again=True) == "", "after a crash nothing is waited for"
    monkeypatch.setattr(loader, "RESTART_TIMEOUT", 0.05)
    monkeypatch.setattr(rig.pool, "is_settled", lambda since: False)
    anew()
    assert rig.load(("good", {}), again=True) == "", "nor are its workers"


def test_a_node_is_blamed_for_the_second_kill_at_it(rig: Rig) -> None:
    nodes = ("good", {}), ("bad", {"act": "kill", "where": "engine"})
    for name in ("", "bad"):
        rig.ask(*nodes)
        assert rig.ended() == name
        rig.start_engine()
    assert rig.load(*nodes) == ""
    assert set(rig.failed()) == {ord("b")}


@pytest.mark.parametrize("at", ["prepare", "close"])
def test_a_node_that_hangs_the_engines_loader_is_named_and_ended_with_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    bad = {"act": "hang", "at": at, "where": "engine"}
    rig.ask(("good", {}), ("bad", bad))
    if at == "close":
        rig.load(("good", {}))
    until(lambda: rig.loading.name == "bad", 5.0, "the loader is at it")
    monkeypatch.setattr(watchdog, "LOAD_SECONDS", 0.3)
    words = rig.shared.words
    watch = watchdog.HangWatch(words, rig.loading, 0.2)
    until(lambda: "loader has hung" in watch.engine(rig.engine, "headless")[1], 5.0, "it is seen")
    assert "at the node bad" in watch.engine(rig.engine, "headless")[1]
    rig.plays(LEVEL / 2)  # meanwhile
    watchdog.forget(words, rig.loading)
    assert watch.engine(rig.engine, "headless") == (Hang.NONE, "")
    os.kill(rig.engine, signal.SIGKILL)
    os.waitpid(rig.engine, 0)
    blamed = watchdog.blame(words, rig.loading, -signal.SIGKILL, Hang.LOADER)
    rig.start_engine()
    assert rig.load(("good", {}), ("bad", bad)) == ""
    if at == "prepare":
        assert blamed == "bad"
        assert set(rig.failed()) == {ord("b")}
        rig.plays(LEVEL / 2)
    else:
        assert blamed == ""
        rig.plays(LEVEL / 4)


def test_a_plan_that_played_goes_on_without_the_node_that_no_longer_prepares(rig: Rig) -> None:
    nodes = ("good", {}), ("bad", {"act": "raise", "where": "late"}), ("worse", {"act": "crash", "where": "late"})
    assert rig.load(*nodes) == ""
    rig.plays(LEVEL / 8)
    os.kill(rig.engine, signal.SIGKILL)
    assert rig.ended() == ""
    Rogue.counts[2] = 1
    rig.new_weigher()  # the one before remembers that they were tried
    rig.start_engine()
    assert "bad" in rig.load(*nodes)
    assert rig.load(*nodes, again=True) == ""
    rig.plays(LEVEL / 2)
    assert "on purpose" in rig.failed()[ord("b")]
    assert "SIGSEGV" in rig.failed()[ord("w")]


def test_what_plays_is_not_tried_again_nor_is_what_an_engine_before_played(rig: Rig) -> None:
    nodes = ("good", {}), ("fine", {"at": "close"})
    assert rig.load(*nodes) == ""
    tried, prepared = Rogue.counts[0], Rogue.counts[1]
    assert (tried, prepared) == (2, 2)
    assert rig.load(("good", {"level": 0.25}), nodes[1]) == ""
    assert (Rogue.counts[0], Rogue.counts[1]) == (2, 2)
    os.kill(rig.engine, signal.SIGKILL)
    rig.ended()
    rig.start_engine()
    assert rig.load(*nodes, again=True) == ""
    assert (Rogue.counts[0], Rogue.counts[1]) == (2, 4)


def test_tempo_found_by_a_node_outlasts_a_plan_sent_again(rig: Rig) -> None:
    assert rig.load(("good", {}), tempo=96.0) == ""
    until(lambda: rig.link.tempo_now()[1] == 96.0, 10.0, "the patch's tempo")
    rig.link.send(SetTempo(103.0))  # as a node that leads the clock sets it, unknown to control
    until(lambda: rig.link.tempo_now()[1] == 103.0, 10.0, "the player's tempo")
    assert rig.load(("good", {}), again=True, tempo=96.0) == ""
    beat = rig.link.tempo_now()[0]
    until(lambda: rig.link.tempo_now()[0] > beat, 10.0, "a block of that plan")
    assert rig.link.tempo_now()[1] == 103.0
    assert rig.load(("good", {}), tempo=90.0) == ""
    until(lambda: rig.link.tempo_now()[1] == 90.0, 10.0, "another patch's tempo")


def test_a_message_that_makes_no_sense_ends_nothing(rig: Rig) -> None:
    for message in (b"{", b"[]", b"{}", b'{"do": "load"}', b'{"do": "load", "serial": 4, "graph": 3, "ids": 5}'):
        rig.control_end.send(message)
    rig.serial = 10
    assert rig.load(("good", {}), ("fine", {})) == ""
    rig.plays(LEVEL / 4)
    assert "the engine's loader: JSONDecodeError" in rig.errors.read_text()


def test_blocks_without_an_engine_are_missed(rig: Rig) -> None:
    words = rig.shared.words
    assert words[HeaderWord.MISSED_BLOCKS] == 0
    for engines in (1, 2):
        os.kill(rig.engine, signal.SIGKILL)
        rig.ended()
        rig.start_engine()
        rig.load(("good", {}))
        assert words[HeaderWord.MISSED_BLOCKS] == 7 * engines


def test_control_learns_what_a_node_can_name_with_every_plan_and_of_too_long_a_list_nothing(rig: Rig) -> None:
    found = NodeVocabulary(ord("g"), {"s": ("bd", "sd")})
    assert rig.load(("good", {})) == ""
    assert found in rig.heard
    rig.heard.clear()
    # a control that is new asks for the plan again, and the node is not prepared anew
    assert rig.load(("good", {}), ("long", {"at": "close"})) == ""
    assert {word.node for word in rig.heard if isinstance(word, NodeVocabulary)} == {ord("g")}
    assert found in rig.heard


def test_words_of_another_kind_of_text_are_reported_as_text() -> None:
    host: Any = SimpleNamespace(processor=SimpleNamespace(vocabulary={np.str_("s"): np.array(["bd", "sd"])}))
    (report,) = vocabularies({1: host})
    assert to_builtins(report)["words"] == {"s": ("bd", "sd")}
