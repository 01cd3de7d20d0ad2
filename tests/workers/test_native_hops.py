"""Nodes that play by a worker, in machine code: the interpreter's samples, misses, hops and marks, whatever happens."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig, kill, pid, stopped
from tests.workers.steppers import Model

from antiphon.api.backends.synths import BackendChoice, SynthInfo, use_backend
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.processor import BlockTime, Processor
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.native_plan import NativePlan
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.workers import pool as pools
from antiphon.kernel.workers.arena import SlotWord, WorkerWord
from antiphon.kernel.workers.pool import WorkerStream
from antiphon.networks.model_client import ModelProcessor
from antiphon.testing import noise
from antiphon_synth.processor import Synth

SPEC = StreamSpec(48000, 64, 2)
BLOCKS = 160


poisoned = functools.partial(Model, "Poison")


def kind_of(model: Model) -> type[Processor]:
    return type("Node", (ModelProcessor,), {"model": model, "__doc__": "A model."})


Action = Callable[["Live"], None]


@dataclass
class Live:
    """A plan of one node over a pool like an engine's, a block at a time, each after the answers to the last are there.

    interpreted: blocks in which the interpreter ran the node.
    """

    rig: Rig
    kind: type[Processor]
    x: Samples
    actions: dict[int, Action] = field(default_factory=dict)
    first: int = 1000
    impatient: bool = False
    interpreted: list[int] = field(default_factory=list)
    posted: list[int] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pools.use(self.rig.pool)
        info = inspect_processor("node", self.kind, "", "local", play=False)
        wires = [Wire(End("node", "out"), End(OUT, OUT))]
        if any(port.signal for port in info.inputs):
            wires.append(Wire(End(IN, IN), End("node", "in")))
        graph = Graph((NodeSpec("node", "node"),), tuple(wires))
        self.plan: Plan = compile_plan(graph, Catalog({"node": info}), lambda name: self.kind(), SPEC, {"node": 1})
        until(self.rig.pool.is_settled, PATIENCE, "the workers are ready")

    @property
    def host(self) -> NodeHost:
        return self.plan.hosts[1]

    @property
    def streams(self) -> list[WorkerStream]:
        return self.host.processor.client.streams

    def answered(self) -> None:
        """Waits until all hops are answered that the present process of the worker is to answer."""

        def there() -> bool:
            for stream in self.streams:
                slot = stream.entry.slots[stream.slot]
                born = stream.entry.words[WorkerWord.GENERATION] == slot[SlotWord.BORN]
                waits = slot[SlotWord.SEEN] != slot[SlotWord.EPOCH] or slot[SlotWord.CURSOR] < slot[SlotWord.POSTED]
                if born and stream.runs() and slot[SlotWord.POSTED] and waits:
                    return False
            return True

        until(there, PATIENCE, "every hop is answered")

    def run(self, monkeypatch: pytest.MonkeyPatch) -> Samples:
        process, out, time = self.kind.process, [], BlockTime(self.first * SPEC.block)
        block = -1

        def noted(processor: Processor, io: object) -> None:
            self.interpreted.append(block)
            process(processor, io)  # type: ignore[arg-type]

        monkeypatch.setattr(self.kind, "process", noted)
        for block in range(BLOCKS):
            if not self.impatient:
                self.answered()
            if block in self.actions:
                self.actions[block](self)
            if not self.impatient:
                self.answered()
            self.rig.patient(0.0 if self.impatient else PATIENCE)
            self.plan.input[:] = self.x[:, block * SPEC.block : (block + 1) * SPEC.block]
            out.append(self.plan.run(SPEC.block, time).copy())
            self.rig.pool.flush()
            time.sample += SPEC.block
            time.beat = time.sample * time.tempo / 60.0 / SPEC.rate
            self.posted.append(self.streams[0].entry.slot(self.streams[0].slot, SlotWord.POSTED))
        self.marks = list(self.plan.marks)
        assert not self.plan.failures
        monkeypatch.setattr(self.kind, "process", process)
        return np.concatenate(out, axis=1)

    def close(self) -> None:
        close_hosts(self.plan.hosts.values(), {})
        pools.use(None)


@pytest.fixture
def patient_rig(calm_rig: Rig) -> Iterator[Rig]:
    yield calm_rig
    pools.use(None)


def both(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Processor],
    x: Samples | None = None,
    actions: dict[int, Action] | None = None,
) -> tuple[Live, Samples]:
    """The node by machine code, after it was compared with the same by the interpreter alone."""
    sound = noise(BLOCKS * SPEC.block, 2, -12.0) if x is None else x
    settle = NativePlan.settle
    runs = []
    for native in (True, False):
        if not native:
            monkeypatch.setattr(NativePlan, "settle", lambda self, place: None)
        live = Live(rig, kind, sound, actions or {})
        try:
            runs.append((live, live.run(monkeypatch), [stream.misses for stream in live.streams]))
        finally:
            live.close()
            monkeypatch.setattr(NativePlan, "settle", settle)
            rig.clear()
    (live, y, misses), (other, z, missed) = runs
    assert live.marks == other.marks
    assert misses == missed
    assert live.posted == other.posted
    np.testing.assert_array_equal(y, z)
    assert len(other.interpreted) == BLOCKS
    return live, y


MODELS = {
    "two hops a block": poisoned(),
    "as long as a block": poisoned(hop=64),
    "longer": poisoned(hop=480, latency=17),
    "not a part of it": poisoned(hop=100, inputs=2),
    "four channels": poisoned(hop=32, inputs=4),
}


@pytest.mark.parametrize("model", list(MODELS.values()), ids=list(MODELS))
def test_a_model_that_answers_is_played_by_machine_code(patient_rig, monkeypatch, model):
    live, y = both(patient_rig, monkeypatch, kind_of(model))
    assert max(live.interpreted) < 4 + 3 * model.hop / SPEC.block
    assert np.abs(y[:, -1000:]).max() > 0.1
    assert [stream.misses for stream in live.streams] == [0] * len(live.streams)


def stall(live: Live) -> None:
    """The worker stands still, and nobody waits for it."""
    os.kill(pid(live.streams[0]), signal.SIGSTOP)
    until(lambda: stopped(pid(live.streams[0])), PATIENCE, "it stands still")
    live.impatient = True


def go_on(live: Live) -> None:
    os.kill(pid(live.streams[0]), signal.SIGCONT)
    live.impatient = False


def replaced(live: Live) -> None:
    """The worker has died, and the one that follows it is ready."""
    kill(live.streams[0])
    until(lambda: all(stream.runs() for stream in live.streams), PATIENCE, "another one runs")


def unwatched(live: Live) -> None:
    """It dies, and the zygote that would see it stands still."""
    os.kill(live.rig.zygote, signal.SIGSTOP)
    until(lambda: stopped(live.rig.zygote), PATIENCE, "it stands still")
    os.kill(pid(live.streams[0]), signal.SIGKILL)
    live.impatient = True


def watched(live: Live) -> None:
    words = live.streams[0].entry.words
    before = words[WorkerWord.GENERATION]
    os.kill(live.rig.zygote, signal.SIGCONT)
    # its pid is 0 before its state says that it has ended
    until(lambda: words[WorkerWord.GENERATION] != before, PATIENCE, "another one is forked")
    until(lambda: all(stream.runs() for stream in live.streams), PATIENCE, "another one runs")
    live.impatient = False


def reset(live: Live) -> None:
    live.host.reset()


TROUBLE: dict[str, dict[int, Action]] = {
    "it stands still for less than its ring": {40: stall, 43: go_on},
    "it stands still for long": {40: stall, 90: go_on},
    "it is replaced": {40: replaced, 100: replaced},
    "it dies and comes back later": {40: unwatched, 70: watched},
    "the node is reset": {40: reset, 90: reset},
}


@pytest.mark.parametrize(
    ("model", "actions"),
    [((poisoned(), poisoned(hop=100, inputs=2))[n % 2], actions) for n, actions in enumerate(TROUBLE.values())],
    ids=list(TROUBLE),
)
def test_what_happens_to_a_worker_is_the_interpreters(patient_rig, monkeypatch, model, actions):
    live, _ = both(patient_rig, monkeypatch, kind_of(model), actions=actions)
    assert set(range(20, 40)).isdisjoint(live.interpreted)
    assert set(range(40, 46)) & set(live.interpreted)
    assert set(range(140, BLOCKS)).isdisjoint(live.interpreted)
    if reset not in actions.values():
        assert live.streams[0].misses
        assert {kind for _, kind, _ in live.marks} >= {"absent", "back"}


def poison(live: Live) -> None:
    live.streams[0]._out[:] = np.nan


def test_an_answer_with_nan_is_not_played_and_its_worker_is_replaced(patient_rig, monkeypatch):
    live, y = both(patient_rig, monkeypatch, kind_of(poisoned()), actions={50: poison, 51: back})
    assert np.isfinite(y).all()
    assert 50 in live.interpreted
    assert live.interpreted[-1] < 140
    assert live.streams[0].misses


def back(live: Live) -> None:
    until(lambda: all(stream.runs() for stream in live.streams), PATIENCE, "another one runs")


@pytest.fixture
def sawtooth() -> Iterator[None]:
    use_backend(BackendChoice(SynthInfo("sawtooth", "tests.synth.sawtooth:Sawtooth", "none")))
    yield
    use_backend(None)


def note(kind: str, number: int, offset: int = 5) -> Action:
    return lambda live: live.host.play(Event(kind, offset, number, 0.5))


def level(live: Live) -> None:
    cells = [cell.param.name for cell in live.host.cells]
    live.host.post(cells.index("level"), 7, -12.0, 0.0)


def test_a_synth_is_machine_codes_between_two_notes(patient_rig, monkeypatch, sawtooth):
    actions = {20: note("on", 60), 40: note("on", 64, 63), 60: note("off", 60), 80: level, 110: reset}
    live, y = both(patient_rig, monkeypatch, Synth, actions=actions)
    assert {block for block in live.interpreted if block > 6} >= {20, 40, 60, 80, 110}
    assert len([block for block in live.interpreted if block > 6]) < 30
    frames = np.arange(BLOCKS * SPEC.block)
    # a block of 64 frames leaves the worker a second one
    saw = (((live.first - 2) * SPEC.block + frames) % 997) / 997.0
    np.testing.assert_allclose(y[0, 10 * 64 : 20 * 64], 0.2 * saw[10 * 64 : 20 * 64], rtol=1e-5)
    np.testing.assert_allclose(y[0, 45 * 64 : 60 * 64], 0.4 * saw[45 * 64 : 60 * 64], rtol=1e-5)
    np.testing.assert_allclose(y[0, 95 * 64 : 110 * 64], 0.3 * 10**-0.6 * saw[95 * 64 : 110 * 64], rtol=1e-5)


@pytest.mark.parametrize("actions", list(TROUBLE.values()), ids=list(TROUBLE))
def test_a_synth_whose_worker_is_in_trouble_is_the_interpreters(patient_rig, monkeypatch, sawtooth, actions):
    live, y = both(patient_rig, monkeypatch, Synth, actions={10: note("on", 60), 60: note("on", 70), **actions})
    assert set(range(140, BLOCKS)).isdisjoint(live.interpreted)
    assert y[:, -1024:].max() > 0.15


def test_blocks_that_were_missed_move_the_clock_of_a_synth(patient_rig, monkeypatch, sawtooth):
    """The clock goes on where no block is played: hops are counted, samples are the clock's."""
    live = Live(patient_rig, Synth, np.zeros((2, BLOCKS * SPEC.block), np.float32))
    try:
        time = BlockTime(0)
        for block in range(60):
            if block == 30:
                time.sample += 7 * SPEC.block
            live.answered()
            patient_rig.patient()
            y = live.plan.run(SPEC.block, time).copy()
            patient_rig.pool.flush()
            time.sample += SPEC.block
        saw = ((time.sample - 3 * SPEC.block + np.arange(SPEC.block)) % 997) / 997.0
        np.testing.assert_allclose(y[0], 0.2 * saw, rtol=1e-5)
        assert live.plan.native.native(0)
    finally:
        live.close()
