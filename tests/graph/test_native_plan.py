"""A plan in machine code gives the samples of the interpreter, and leaves to it what it cannot play."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from tests.local import Gain

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import LineUse
from antiphon.kernel.contract.params import HOST_PARAMS, Param, Value
from antiphon.kernel.contract.ports import AUDIO_OUT, EVENTS_IN, EVENTS_OUT
from antiphon.kernel.contract.processor import IO, BlockTime, Processor
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.native_plan import MOVED, NativePlan
from antiphon.kernel.graph.native_rows import PlanWord, measure_rows
from antiphon.kernel.graph.node_host import Touch
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import Sample
from antiphon.native.compiling import kernel
from antiphon.native.dsp import copy_sound
from antiphon.native.kernel import Audio, Step, f32p, i64
from antiphon.networks.worker_processor import WorkerProcessor
from antiphon.testing import sung


@dataclass
class Types:
    """Processor types and how they are made."""

    catalog: Catalog
    make: Callable[[str], Processor]

    @staticmethod
    def of(name: str, kind: type[Processor]) -> Types:
        """One type of this module, beside `gain`."""
        kinds = {name: kind, "gain": Gain}
        catalog = {name: inspect_processor(name, kind, "", "local", play=False) for name, kind in kinds.items()}
        return Types(Catalog(catalog), lambda name: kinds[name]())


SPEC = StreamSpec(48000, 64, 2)
BLOCKS = 80
RESTING = {"denoise": {"mode": "gate"}}
"""Values with which types rest that do not by default."""
NOTES = ("accompany", "answer", "arpeggiator", "chord", "continue", "echo", "generate", "hold", "humanise",
         "probability", "scale", "split", "strum", "transpose")  # fmt: skip
"""Types with a step that give notes alone."""
LISTENERS = ("hum", "follow")
"""Types with a step whose first output are the notes of a sound."""


@kernel
def divide_kernel(x: Audio, y: Audio, by: f32p) -> None:
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = x[c, n] / by[n]


def sound(blocks: int = BLOCKS) -> Samples:
    rng = np.random.default_rng(7)
    return (0.3 * rng.standard_normal((2, blocks * SPEC.block))).astype(np.float32)


def chain(catalog: Catalog, *types: str, modulated: str = "", values: Mapping[str, Value] | None = None) -> Graph:
    """`in` → each type in turn → `out`, as far as they have sound in and out; an `lfo` at a parameter of the first.

    values: Of the first; None for those with which it rests.
    """
    nodes = {f"n{place}": kind for place, kind in enumerate(types)}
    wires = []
    before = End("in", "in")
    for name, kind in nodes.items():
        info = catalog[kind]
        if info.inputs and info.inputs[0].signal:
            wires.append(Wire(before, End(name, info.inputs[0].name)))
        out = info.outputs[0]
        before = End(name, out.name)
        if out.kind == "control":
            wires.append(Wire(before, End("n1", "gain")))
            before = End("in", "in")
    wires.append(Wire(before, End("out", "out")))
    if modulated:
        nodes["lfo"] = "lfo"
        wires.append(Wire(End("lfo", "out"), End("n0", modulated)))
    given = {name: RESTING.get(kind, {}) for name, kind in nodes.items()}
    if values is not None:
        given["n0"] = dict(values)
    return Graph(tuple(NodeSpec(name, kind, given[name]) for name, kind in nodes.items()), tuple(wires))


def compile_graph(loaded: Types, graph: Graph, old: Plan | None = None) -> Plan:
    ids = {node.name: place + 1 for place, node in enumerate(graph.nodes)}
    return compile_plan(graph, loaded.catalog, loaded.make, SPEC, ids, old)


def test_plan_dropped_is_freed_without_the_collector() -> None:
    class Tabled(Gain):
        def prepare(self, spec: StreamSpec) -> None:
            super().prepare(spec)
            self.table = np.zeros(100)

    loaded = Types.of("tabled", Tabled)
    plan = compile_graph(loaded, chain(loaded.catalog, "tabled", "gain"))
    tables = [weakref.ref(step.host.processor.table) for step in plan.steps if isinstance(step.host.processor, Tabled)]
    gc.disable()
    try:
        plan.run(SPEC.block, BlockTime())
        del plan
        assert [table() for table in tables] == [None]
    finally:
        gc.enable()


def play(plan: Plan, change: Callable[[Plan, int], None] = lambda plan, block: None) -> Samples:
    """The plan's output; `change` is called before each block."""
    x, out, time = sound(), [], BlockTime()
    for block in range(BLOCKS):
        change(plan, block)
        plan.input[:] = x[:, block * SPEC.block : (block + 1) * SPEC.block]
        out.append(plan.run(SPEC.block, time).copy())
        time.sample += SPEC.block
        time.beat = time.sample * time.tempo / 60.0 / SPEC.rate
    return np.concatenate(out, axis=1)


@pytest.fixture(scope="module")
def loaded() -> Types:
    every = loader.load(check=False)
    return Types(every.catalog, every.make)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Leaves all nodes of the plans that are compiled from then on to the interpreter."""
    return lambda: monkeypatch.setattr(NativePlan, "settle", lambda self, place: None)


def changes(plan: Plan, block: int) -> None:
    """What a performer does: values, ramps, mute, bypass, wet, a reset, a panic."""
    host = plan.hosts[1]
    cells = [cell.param.name for cell in host.cells]
    if block == 5:
        host.post(cells.index("wet"), 10, 0.4, 0.0)
    if block == 15:
        host.post(cells.index("bypass"), 0, 1.0, 0.0)
    if block == 25:
        host.post(cells.index("bypass"), 33, 0.0, 0.02)
        host.post(cells.index("mute"), 40, 1.0, 0.0)
    if block == 35:
        host.post(cells.index("mute"), 1, 0.0, 0.0)
    if block == 40:
        host.reset()
    if block == 50:
        plan.clear()
    if block in (3, 22, 52) and any(not port.signal for port in host.info.inputs):
        host.play(Event("on", block, 36, 0.8))
    own = [place for place, cell in enumerate(host.cells) if cell.param.kind == "float" and not cell.param.readonly][3:]
    if block in (8, 30) and own:
        param = host.cells[own[0]].param
        host.post(own[0], 20, param.low + 0.3 * (param.high - param.low), 0.01)


def test_every_processor_with_a_step_gives_the_samples_of_the_interpreter(loaded, interpreted):
    # in a file every answer of a worker is waited for (tests/workers/test_native_hops.py plays those live)
    native = [name for name, info in loaded.catalog.types.items() if info.native]
    others = (*NOTES, *LISTENERS)
    types = [name for name in native if not isinstance(loaded.make(name), WorkerProcessor) and name not in others]
    assert len(types) >= 20
    plans = {kind: compile_graph(loaded, chain(loaded.catalog, kind, "gain")) for kind in types}
    native = {kind: play(plan, changes) for kind, plan in plans.items()}
    assert all(plan.native.native(place) for plan in plans.values() for place in range(2))
    interpreted()
    for kind in types:
        reference = play(compile_graph(loaded, chain(loaded.catalog, kind, "gain")), changes)
        np.testing.assert_array_equal(native[kind], reference, err_msg=kind)


HELD_BLOCKS, MOST_BLOCKS, QUICK = 10, 34, 4800.0
"""Blocks for which a changed value rests, at most with its smoothing, and a tempo at which a beat begins in them."""


def other(param: Param, value: Value, place: float) -> Value:
    """The value at that place of the range; another word than `value`, or the switch turned."""
    if param.kind in ("switch", "trigger"):
        return not value
    if param.kind == "choice":
        return param.choices[(param.choices.index(str(value)) + round(1 + 2 * place)) % len(param.choices)]
    return param.from_norm(place)


def changeable(info: ProcessorInfo) -> list[int]:
    """Cells whose parameters may be set while a node plays."""
    fixed = info.values_for_prepare({})
    return [cell for cell, param in enumerate(info.cells) if not param.readonly and param.name not in fixed]


def change_each(plan: Plan) -> tuple[Samples, list[tuple[int, Event]], list[tuple[int, int, float]]]:
    """Sound, events and reports while each parameter of the first node is set to a low value, a high one, and back."""
    host, x = plan.hosts[1], sound(MOST_BLOCKS)
    begun = {place: cell.target for place, cell in enumerate(host.cells)}
    values: list[tuple[int, float]] = []
    for place in changeable(host.info):
        param = host.cells[place].param
        now = param.decode(begun[place])
        values += [(place, param.encode(other(param, now, at))) for at in (0.1, 0.7)] + [(place, begun[place])]
    out, said, reports, time = [], [], [], BlockTime(tempo=QUICK)
    takes_notes = any(not port.signal for port in host.info.inputs)
    for turn, (place, number) in enumerate(values):
        host.post(place, 20, number, 0.0)
        smoothing = round(host.cells[place].param.smooth * SPEC.rate / SPEC.block)
        for block in range(min(HELD_BLOCKS + smoothing, MOST_BLOCKS)):
            if takes_notes and block in (2, 6):
                host.play(Event("on" if block == 2 else "off", 5, 48 + 3 * (turn % 8), 0.8))
            plan.input[:] = x[:, block * SPEC.block : (block + 1) * SPEC.block]
            out.append(plan.run(SPEC.block, time).copy())
            said += [(len(out), event) for _, events in plan.emitted_events(-1) for event in events]
            time.sample += SPEC.block
            time.beat += SPEC.block * time.beats_per_frame(SPEC.rate)
        reports += plan.reports()
    assert [failure.reason for failure in plan.failures] == []
    return np.concatenate(out, axis=1), said, reports


@pytest.mark.needs("accompany", "denoise")
@pytest.mark.parametrize("otherwise", [False, True])
def test_every_parameter_of_every_processor_changed_while_it_plays_is_the_interpreters(
    loaded, interpreted, otherwise, monkeypatch
):
    """Begun with the defaults, and with every switch and word otherwise: a step that is laid out by values shows."""
    # Python in both, and most of their time
    monkeypatch.setattr("antiphon_accompany.harmony.melody_chords.installed_live_network", lambda: None)
    types = [kind for kind, info in loaded.catalog.types.items() if info.native]
    assert len(types) >= 55

    def plan_of(kind: str) -> Plan:
        info = loaded.catalog[kind]
        own = [info.cells[cell] for cell in changeable(info) if cell >= len(HOST_PARAMS)]
        first = {param.name: other(param, param.default, 0.0) for param in own if param.kind in ("switch", "choice")}
        graph = Graph((NodeSpec("n0", kind, first if otherwise else {}),), ())
        if info.outputs[0].signal:
            graph = chain(loaded.catalog, kind, "gain", values=first if otherwise else None)
        return compile_graph(loaded, graph)

    # samplers of one folder share what each has read, which they count: one that has read all lives on beside both
    beside = plan_of("sampler")
    change_each(beside)
    native = {kind: change_each(plan_of(kind)) for kind in types}
    interpreted()
    for kind in types:
        (heard, *told), (reference, *wanted) = native[kind], change_each(plan_of(kind))
        np.testing.assert_array_equal(heard, reference, err_msg=kind)
        assert told == wanted, kind


ORDERS = {
    "looper": ((4, "record", 1.0), (14, "play", 1.0), (24, "overdub", 1.0), (34, "undo", 1.0), (44, "stop", 1.0)),
    "freeze": ((5, "hold", 1.0), (12, "hold", 0.0)),
    "denoise": ((25, "learn", 1.0), (40, "full", 1.0)),
}


@pytest.mark.parametrize("kind", ["looper", "freeze", pytest.param("denoise", marks=pytest.mark.needs("denoise"))])
def test_orders_are_the_interpreters_and_what_follows_them_machine_codes(loaded, interpreted, kind):
    asked: list[bool] = []

    def order(plan: Plan, block: int) -> None:
        cells = [cell.param.name for cell in plan.hosts[1].cells]
        for at, name, value in ORDERS[kind]:
            if block == at:
                plan.hosts[1].post(cells.index(name), 20, value, 0.0)
        asked.append(plan.native.native(0))

    native = play(compile_graph(loaded, chain(loaded.catalog, kind)), order)
    assert asked[2]
    assert asked[8] == (kind != "looper")  # which records
    assert asked[-1]
    interpreted()
    np.testing.assert_array_equal(native, play(compile_graph(loaded, chain(loaded.catalog, kind)), order))


@pytest.mark.parametrize(("kind", "param"), [("gain", "gain"), ("filter", "cutoff"), ("gain", "wet")])
def test_a_modulated_parameter_is_played_by_machine_code_too(loaded, interpreted, kind, param):
    graph = chain(loaded.catalog, kind, "pan", modulated=param)
    plan = compile_graph(loaded, graph)
    native = play(plan, changes)
    assert all(plan.native.native(place) for place in range(3))
    interpreted()
    np.testing.assert_array_equal(native, play(compile_graph(loaded, graph), changes))


def test_a_node_is_the_interpreters_while_a_parameter_moves_and_machine_codes_again_when_it_rests(loaded):
    plan = compile_graph(loaded, chain(loaded.catalog, "gain"))
    assert plan.native.native(0)
    cell = [cell.param.name for cell in plan.hosts[1].cells].index("gain")
    plan.hosts[1].post(cell, 3, 0.5, 0.0)
    assert not plan.native.native(0)
    assert plan.native.words[PlanWord.TOUCHED] == 0
    rest = play(plan)
    assert plan.native.words[PlanWord.TOUCHED] == Touch.MOVING
    assert plan.native.native(0)
    np.testing.assert_allclose(rest[:, -64:], 0.5 * sound()[:, -64:])


def test_what_moves_in_machine_code_is_the_interpreters_for_any_split_into_blocks(loaded, interpreted):
    """Curves, one of them modulated, and the gains of the host, in glides that overlap."""
    random, x = np.random.default_rng(3), sound()
    graph = chain(loaded.catalog, "filter", "gain", modulated="cutoff")
    cells = {name: place for place, name in enumerate(p.name for p in loaded.catalog["filter"].cells)}
    names = ("cutoff", "q", "wet", "bypass", "mute", "cutoff", "mode")
    asked = [
        NodeSet(1, cells[name], 200.0 + at if name == "cutoff" else at % 2 / 2, at % 3 / 300, Sample(at))
        for at, name in zip(np.sort(random.integers(100, 4000, 28)).tolist(), names * 4, strict=True)
    ]

    def run(edges: list[int]) -> tuple[Samples, int]:
        player, moved = GraphPlayer(SPEC), 0
        player.load(compile_graph(loaded, graph), 1, 0.0)
        for action in asked:
            player.take(action)
        out = []
        for first, end in pairwise(edges):
            out.append(player.run(x[:, first:end]).copy())
            moved += any(cell.line.moves == LineUse.RENDERED for cell in player.plan.hosts[1].cells)
        return np.concatenate(out, axis=1), moved

    splits = [list(range(0, x.shape[1] + 1, SPEC.block))]
    for _ in range(3):
        parts = np.where(random.random(400) < 0.8, SPEC.block, random.integers(1, SPEC.block, 400)).cumsum()
        splits.append([0, *parts[parts < x.shape[1]].tolist(), x.shape[1]])
    native = [run(edges) for edges in splits]
    interpreted()
    reference, moved = run(splits[0])
    assert moved == 0
    for heard, count in native:
        assert count > 15
        np.testing.assert_array_equal(heard, reference)


def test_a_wire_to_a_parameter_fades_in_though_machine_code_alone_ran_the_node(loaded, interpreted):
    def run() -> Samples:
        player, x = GraphPlayer(SPEC), sound(60)
        player.load(compile_graph(loaded, chain(loaded.catalog, "filter", values={"cutoff": 900.0})), 1, 0.0)
        out = [player.run(part).copy() for part in np.split(x[:, : 20 * SPEC.block], 20, axis=1)]
        wired = chain(loaded.catalog, "filter", values={"cutoff": 900.0}, modulated="cutoff")
        player.load(compile_graph(loaded, wired, player.plan), 2, 0.01)
        out += [player.run(part).copy() for part in np.split(x[:, 20 * SPEC.block :], 40, axis=1)]
        return np.concatenate(out, axis=1)

    native = run()
    interpreted()
    np.testing.assert_array_equal(native, run())


class Divide(Processor):
    """Gives infinity where its parameter is 0."""

    def prepare(self, spec: StreamSpec) -> None:
        self.by = np.ones(spec.block, np.float32)

    def step(self, io: IO) -> Step:
        return divide_kernel.step(io.audio_in[0], io.audio_out[0], self.by)


class Undecided(Processor):
    """Decides by the block's time, which a step cannot."""

    def step(self, io: IO) -> Step:
        by = np.full(io.frames, 2.0 if io.time.playing else 1.0, np.float32)
        return divide_kernel.step(io.audio_in[0], io.audio_out[0], by)


@kernel
def halve_kernel(x: Audio, y: Audio, playing: i64) -> None:
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = x[c, n] * (0.5 if playing else 1.0)


class Sometimes(Processor):
    """Takes the block's time while it is on, and a constant while it is off."""

    params = (Param("on", "switch", True),)

    def step(self, io: IO) -> Step:
        return halve_kernel.step(io.audio_in[0], io.audio_out[0], io.time.playing if io.at("on", 0) else 0)


@pytest.mark.parametrize("begun", [True, False])
def test_a_step_that_takes_the_time_with_some_values_fails_its_node_until_it_is_reset(begun):
    types = Types.of("sometimes", Sometimes)
    plan = compile_graph(types, chain(types.catalog, "sometimes", values={"on": begun}))
    cell = [cell.param.name for cell in plan.hosts[1].cells].index("on")

    def change(plan: Plan, block: int) -> None:
        if block in (20, 40):
            plan.hosts[1].post(cell, 0, float(begun == (block == 40)), 0.0)
        if block == 41:
            plan.hosts[1].reset()

    out = play(plan, change)
    assert [(failure.name, failure.reason) for failure in plan.failures] == [("n0", MOVED)]
    np.testing.assert_array_equal(out[:, 35 * 64 : 40 * 64], sound()[:, 35 * 64 : 40 * 64])
    np.testing.assert_array_equal(out[:, -64:], sound()[:, -64:] * (0.5 if begun else 1.0))
    assert plan.native.native(0)


@pytest.mark.parametrize("by_machine", [True, False])
def test_a_step_that_gives_infinity_fails_its_node_which_passes_the_dry_signal(interpreted, by_machine):
    loaded = Types.of("divide", Divide)
    if not by_machine:
        interpreted()
    plan = compile_graph(loaded, chain(loaded.catalog, "divide", "gain"))

    def change(plan: Plan, block: int) -> None:
        if block == 20:
            plan.hosts[1].processor.by.fill(0.0)

    out = play(plan, change)
    assert [(failure.name, failure.reason) for failure in plan.failures] == [("n0", "gave NaN or infinity")]
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[:, : 20 * 64], sound()[:, : 20 * 64])
    np.testing.assert_array_equal(out[:, 30 * 64 :], sound()[:, 30 * 64 :])


def test_a_step_that_cannot_be_laid_out_is_played_by_the_interpreter():
    types = Types.of("undecided", Undecided)
    plan = compile_graph(types, chain(types.catalog, "undecided"))
    np.testing.assert_allclose(play(plan), 0.5 * sound(), rtol=1e-6)
    assert not plan.native.native(0)


def test_a_value_that_kernels_leave_in_an_array_is_reported(loaded):
    plan = compile_graph(loaded, chain(loaded.catalog, "meter"))
    play(plan)
    assert plan.native.native(0)
    cells = plan.hosts[1].cells
    reports = {cells[cell].param.name: value for _, cell, value in plan.reports()}
    rms = 20.0 * np.log10(np.sqrt(np.mean(np.square(sound()[:, : 48000 // 20], dtype=np.float64))))
    assert reports["rms"] == pytest.approx(rms, abs=0.5)


def test_nodes_of_the_plan_before_play_on_in_the_next_one(loaded, interpreted):
    def run() -> Samples:
        first = compile_graph(loaded, chain(loaded.catalog, "delay", "reverb"))
        before = play(first)
        second = compile_graph(loaded, chain(loaded.catalog, "delay", "reverb", "gain"), first)
        second.copy_wire_contents(first)
        assert second.crossing is not None
        second.crossing.begin(256)
        x, out, time = sound(), [], BlockTime(BLOCKS * SPEC.block)
        for block in range(20):
            for plan in (first, second):
                plan.input[:] = x[:, block * 64 : block * 64 + 64]
            runs = second.run if second.crossing.has_ended else second.crossing.run
            out.append(runs(64, time).copy())
            time.sample += 64
        return np.concatenate([before, *out], axis=1)

    native = run()
    interpreted()
    np.testing.assert_array_equal(native, run())


def test_meters_are_those_of_the_last_block(loaded):
    plan = compile_graph(loaded, chain(loaded.catalog, "gain", "filter"))
    play(plan)
    table = np.zeros(12, np.float32)
    measure_rows(plan.native.words, 2, table)
    for row, (number, host) in zip(table.reshape(3, 4), plan.hosts.items(), strict=False):
        out = host.outs[0]
        rms = np.sqrt(np.mean(np.square(out, dtype=np.float64)))
        np.testing.assert_allclose(row, [number, np.abs(out).max(), rms, host.load], rtol=1e-6)
    assert not table[8:].any()


class Beater(Processor):
    """A note at the 3rd frame of every 10th block."""

    outputs = (EVENTS_OUT,)

    def process(self, io: IO) -> None:
        if io.time.sample // SPEC.block % 10 == 5:
            io.emit(Event("on", 3, 60, 1.0))


class Steps(Processor):
    """Holds a level, which each note moves."""

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)

    def prepare(self, spec: StreamSpec) -> None:
        self._level = np.zeros(1, np.float32)

    def process(self, io: IO) -> None:
        for event in io.events_in:
            self._level[0] += event.value
        io.audio_out[0][:] = self._level[0]

    def step(self, io: IO) -> Step:
        return hold_kernel.step(io.audio_out[0], self._level)


@kernel
def hold_kernel(y: Audio, level: f32p) -> None:
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = level[0]


def perform(plan: Plan, block: int, clock: BlockTime) -> None:
    """A player of notes, and of the clock: it stops, goes on, and jumps."""
    host = plan.hosts[1]
    number = 60 + block // 160 % 5
    if block % 160 in (5, 6, 40) and block % 2000 < 1000:
        host.play(Event("on", block % 64, number + block % 160, 0.6))
    if block % 160 == 120:
        for key in (5, 6, 40):
            host.play(Event("off", block % 64, number + key))
    if block == 700:
        host.reset()
    if block in (900, 1000):
        clock.playing = block == 1000
    if block in (500, 530):
        clock.beat += -3.3 if block == 500 else 7.3
    if block == 1400:
        clock.tempo = 220.0
    if block in (1600, 1650):
        host.post([cell.param.name for cell in host.cells].index("bypass"), 9, float(block == 1600), 0.0)


@pytest.mark.parametrize("kind", NOTES)
def test_a_note_node_without_anything_to_do_is_machine_codes(loaded, interpreted, kind):
    def run() -> tuple[list[tuple[int, Event]], int]:
        graph = Graph((NodeSpec("n0", kind, {"parts": "piano,drums"} if kind == "accompany" else {}),), ())
        plan = compile_graph(loaded, graph)
        said, calls, clock = [], 0, BlockTime(tempo=240.0)
        processor = plan.hosts[1].processor
        process = processor.process

        def noted(io: IO) -> None:
            nonlocal calls
            calls += 1
            process(io)

        processor.process = noted
        for block in range(4000):
            perform(plan, block, clock)
            plan.run(SPEC.block, clock)
            said += [(block, event) for _, events in plan.emitted_events(-1) for event in events]
            clock.sample += SPEC.block
            clock.beat += SPEC.block * clock.beats_per_frame(SPEC.rate)
        assert not plan.failures
        return said, calls

    said, calls = run()
    assert said
    assert calls < 1000
    interpreted()
    reference, all_calls = run()
    assert said == reference
    assert all_calls >= 4000


@pytest.mark.parametrize(
    ("kind", "values", "most"),
    [
        pytest.param("hum", {"mode": "yin"}, 0.3, marks=pytest.mark.needs("hum")),
        pytest.param("follow", {}, 0.7, marks=pytest.mark.needs("follow")),
        pytest.param("follow", {"drive": "beat", "waits": False}, 0.7, marks=pytest.mark.needs("follow")),
    ],
)
def test_a_listener_is_machine_codes_within_its_hops(loaded, interpreted, kind, values, most):
    graph = Graph((NodeSpec("n0", kind, values),), (Wire(End("in", "in"), End("n0", "in")),))
    x = np.concatenate([sung(hertz, 0.9, 2) for hertz in (220.0, 247.0, 330.0)], axis=1)

    def run() -> tuple[list[object], int]:
        plan, clock = compile_graph(loaded, graph), BlockTime()
        host, calls = plan.hosts[1], 0
        said: list[object] = []
        process, last = host.processor.process, dict[tuple[int, int], float]()

        def noted(io: IO) -> None:
            nonlocal calls
            calls += 1
            process(io)

        host.processor.process = noted
        for block in range(10000):
            if block in (300, 301, 9900):
                host.reset()
            if kind == "follow" and block % 375 == 5 and not 3000 < block < 9500:
                host.play(Event("on", 20, 60, 0.8))
            if kind == "follow" and block in (600, 650, 7100, 7151, 8800):
                cell = [cell.param.name for cell in host.cells].index("downbeat" if block == 8800 else "tap")
                host.post(cell, 7, 1.0, 0.0)
            if block in (8000, 8400):
                clock.playing = block == 8400
            at = block * SPEC.block % (x.shape[1] - SPEC.block)
            plan.input[:] = x[:, at : at + SPEC.block] if block < 3000 else 0.0
            plan.run(SPEC.block, clock)
            said += [(block, event) for _, events in plan.emitted_events(-1) for event in events]
            said += [(block, *asked) for asked in plan.steering]
            said += [(block, out.tobytes()) for out in host.outs]
            for node, cell, value in plan.reports():
                if last.get((node, cell)) != value:
                    said.append((block, cell, value))
                last[node, cell] = value
            plan.steering.clear()
            clock.sample += SPEC.block
            clock.beat += SPEC.block * clock.beats_per_frame(SPEC.rate)
        assert not plan.failures
        return said, calls

    said, calls = run()
    assert any(isinstance(word[1], Event) for word in said)
    assert calls < most * 10000
    interpreted()
    reference, all_calls = run()
    assert said == reference
    assert all_calls == 10000


@kernel
def not_each_seventh(sample: i64) -> i64:
    return 1 if sample // 64 % 7 != 3 else 0


class Seventh(Steps):
    """Raises its level by .1 in each seventh block."""

    inputs = ()
    calls = 0

    def process(self, io: IO) -> None:
        self.calls += 1
        if not not_each_seventh(io.time.sample):
            self._level[0] += 0.1
        io.audio_out[0][:] = self._level[0]

    def step(self, io: IO) -> Step:
        return super().step(io).provided(not_each_seventh.step(io.time.sample))


def test_blocks_that_a_condition_excludes_are_those_of_process(interpreted):
    types = Types.of("seventh", Seventh)
    plan = compile_graph(types, chain(types.catalog, "seventh", "gain"))
    native = play(plan)
    assert plan.hosts[1].processor.calls == len(range(3, BLOCKS, 7))
    assert plan.native.native(0)
    interpreted()
    np.testing.assert_array_equal(native, play(compile_graph(types, chain(types.catalog, "seventh", "gain"))))


class Replaced(Seventh):
    """Plays from another array after each block that is `process`'s, halved or not by a number."""

    def process(self, io: IO) -> None:
        self._level = self._level.copy()
        super().process(io)

    def step(self, io: IO) -> Step:
        laid, x = super().step(io), io.audio_out[0]
        return laid.then(halve_kernel.step(x, x, self.calls % 3))


def test_arguments_that_process_replaces_are_those_of_the_next_block():
    types = Types.of("replaced", Replaced)
    plan = compile_graph(types, chain(types.catalog, "replaced", "gain"))
    levels = play(plan)[0, :: SPEC.block]
    calls = np.array([len(range(3, block + 1, 7)) for block in range(BLOCKS)])
    halved = np.where((np.arange(BLOCKS) % 7 != 3) & (calls % 3 > 0), 0.5, 1.0)
    np.testing.assert_allclose(levels, 0.1 * calls * halved, rtol=1e-5)


class Later(Seventh):
    """Has no step before its 10th block."""

    def step(self, io: IO) -> Step | None:
        return super().step(io) if self.calls >= 10 else None


def test_a_step_that_comes_after_the_plan_was_built_is_machine_codes(interpreted):
    types = Types.of("later", Later)
    plan = compile_graph(types, chain(types.catalog, "later", "gain"))
    at_rest: list[bool] = []
    native = play(plan, lambda plan, block: at_rest.append(plan.native.native(0)))
    assert at_rest == [False] * 15 + [True] * (BLOCKS - 15)
    assert plan.hosts[1].processor.calls == 15 + len(range(17, BLOCKS, 7))
    interpreted()
    np.testing.assert_array_equal(native, play(compile_graph(types, chain(types.catalog, "later", "gain"))))


def test_a_step_with_a_condition_needs_a_process_beside_it():
    class Alone(Processor):
        def step(self, io: IO) -> Step:
            x, y = io.audio_in[0], io.audio_out[0]
            return copy_sound.step(x, y).provided(not_each_seventh.step(io.time.sample))

    types = Types.of("alone", Alone)
    plan = compile_graph(types, chain(types.catalog, "alone"))
    play(plan)
    assert [failure.reason for failure in plan.failures] == [
        "raised PluginError: it has no process, and no step for every block"
    ]


def test_a_node_of_machine_code_gets_the_events_of_another():
    kinds = {"beater": Beater, "steps": Steps}
    catalog = {name: inspect_processor(name, kind, "", "local", play=False) for name, kind in kinds.items()}
    types = Types(Catalog(catalog), lambda name: kinds[name]())
    nodes = NodeSpec("beater", "beater"), NodeSpec("steps", "steps")
    wires = Wire(End("beater", "notes"), End("steps", "notes")), Wire(End("steps", "out"), End("out", "out"))
    plan = compile_graph(types, Graph(nodes, wires))
    at_rest = []
    out = play(plan, lambda plan, block: at_rest.append(plan.native.native(1)))
    assert at_rest.count(True) == BLOCKS
    assert plan.native.words[PlanWord.TOUCHED] == Touch.PYTHON | Touch.EVENT
    expected = np.repeat(np.arange(BLOCKS // 10 + 1), 10 * SPEC.block)[5 * SPEC.block :][: out.shape[1]]
    np.testing.assert_array_equal(out, [expected, expected])
