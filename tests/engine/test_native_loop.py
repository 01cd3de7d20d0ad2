"""The loop in machine code against that of the interpreter: same samples, words, reports and copies."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import numpy as np
import pytest
from tests.each import each
from tests.graph.test_native_plan import Beater, Types
from tests.local import Gain
from tests.waiting import until as wait_until
from tests.workers.rig import Rig
from tests.workers.test_native_hops import Model, kind_of

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.engine.callback import DEPTH, CallbackState, CallbackWord, portaudio_process
from antiphon.kernel.engine.drivers import device
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord
from antiphon.kernel.engine.drivers.device import CallbackDriver
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.journal import to_line
from antiphon.kernel.engine.levels import ChosenPairs, fit_channel_count, loop_sound
from antiphon.kernel.engine.loop import EngineLoop, NextPlan
from antiphon.kernel.engine.loop_words import CallReason
from antiphon.kernel.engine.native import loop as native_loop
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.remote import REPORT_KINDS
from antiphon.kernel.engine.shared import (
    SESSION,
    TRACKS,
    ByteRing,
    HeaderWord,
    MappingShape,
    Shared,
    command_ring,
    report_ring,
)  # fmt: skip
from antiphon.kernel.engine.taps import NodeCapture, NodeTaps
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.io.capture_memory import CaptureMemory, CaptureShape
from antiphon.kernel.io.tap_memory import TapMemory, TapShape
from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import NOW, Sample, SetTempo
from antiphon.kernel.workers.arena import SlotWord, WorkerWord
from antiphon.kernel.workers.pool import Pool, use as use_pool
from antiphon.native.compiling import compile_all
from antiphon.testing import noise

RATE, BLOCK, AHEAD = 48000, 64, 2
BLOCKS = 1500
"""Two seconds."""
PATIENCE = 60.0
FUTURE = 10**18
"""ns of the device's clock at its first call."""


@pytest.fixture(scope="module")
def plugins() -> Loaded:
    compile_all()
    return loader.load(check=False)


def chain(*types: str, last: str = "out", pairs: bool = True) -> Graph:
    """`in` → each type in turn → `out`, the first one with a wire back from the last, and a second pair of channels."""
    nodes = [NodeSpec(f"n{place}", kind) for place, kind in enumerate(types)]
    ends = [End("in", "in"), *(End(node.name, "out") for node in nodes)]
    into = [*(End(node.name, "in") for node in nodes), End("out", last)]
    wires = [Wire(source, dest) for source, dest in zip(ends, into, strict=True)]
    return Graph(tuple(nodes), (*wires, Wire(ends[2], End("out", "3-4"))) if pairs else tuple(wires))


class CalledDriver(CallbackDriver):
    """A driver whose device is called by the test. Not in real time: the next call waits for the block of the last."""

    def __init__(self, state: CallbackState) -> None:
        super().__init__(state, RATE, BLOCK, 2, AHEAD)


@dataclass
class Engine:
    """The engine's loop over a device, without processes.

    pairs: what the device plays; channels: those of the device; interpreted: blocks that were left to the interpreter;
    before: what the device's thread does before a call, by its number.
    """

    plugins: Loaded | Types
    graph: Graph
    channels: int = 2
    pairs: tuple[str, ...] = ()
    calls: int = BLOCKS
    file: Samples | None = None
    ends: bool = True
    before: dict[int, Callable[[], None]] = field(default_factory=dict)
    shared: Shared = field(init=False)
    loop: EngineLoop = field(init=False)
    ending: list[int] = field(default_factory=list)
    reasons: list[CallReason] = field(default_factory=list)
    interpreted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        spec = StreamSpec(RATE, BLOCK, 2)
        self.shared, self.bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, os.EFD_NONBLOCK)
        self.state = CallbackState(BLOCK, 2, self.channels, AHEAD)
        self.ticks = 0
        self.clock = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(self.tick)
        self.state.view[CallbackWord.CLOCK] = ctypes.cast(self.clock, ctypes.c_void_p).value or 0
        self.driver = CalledDriver(self.state)
        self.player = GraphPlayer(spec, 150.0)
        self.taps = TapMemory.create(TapShape.for_audio(RATE, BLOCK, 2))
        self.capture = CaptureMemory.create(CaptureShape(RATE, BLOCK, 3000))
        pairs = ChosenPairs(self.pairs, spec) if self.pairs else None
        looped = None if self.file is None else fit_channel_count(self.file, 2)
        self.loop = EngineLoop(
            self.player, self.driver, self.shared, self.bell,
            LoopParts(looped, None, NodeTaps(self.taps), NodeCapture(self.capture), None, pairs),
        )  # fmt: skip
        ids = {node.name: place + 1 for place, node in enumerate(self.graph.nodes)}
        plan = compile_plan(self.graph, self.plugins.catalog, self.plugins.make, spec, ids)
        self.loop.next_plan = NextPlan(plan, 1, 0.0, 0.0, b"{}")
        self.signals, self.signalling = os.pipe2(os.O_NONBLOCK)
        self.x = noise(self.calls * BLOCK, 2, -12.0)
        self.out = np.zeros((self.calls, BLOCK, self.channels), np.float32)

    def tick(self, _clock: int, where: int) -> int:
        """The clock of the device: its calls are a block apart, give or take, whenever they come."""
        at = (ctypes.c_int64 * 2).from_address(where)
        at[0], at[1] = divmod(FUTURE + self.ticks * BLOCK * 10**9 // RATE + 50_000 * (self.ticks % 7), 10**9)
        self.ticks += 1
        return 0

    def call(self) -> None:
        """The device: a call for each block, and the wait until the one before is delivered."""
        given = np.ascontiguousarray(self.x.T)
        until = time.monotonic() + PATIENCE
        for n in range(self.calls + 1):
            while n and self.state.view[CallbackWord.OUT_TAGS + (n - 1) % DEPTH] != n and time.monotonic() < until:
                time.sleep(1e-4)  # the wait for its tag, without taking the processor that computes the block
            if n == self.calls:
                break
            if n in self.before:
                self.before[n]()
            portaudio_process(
                given[n * BLOCK :].ctypes.data, self.out[n].ctypes.data, BLOCK, 0, 0, self.state.words
            )  # fmt: skip
        if self.ends:
            self.ending.append(1)
            os.write(self.signalling, b"x")

    def play(self) -> bool:
        """Plays until the calls end; whether the device is still there."""
        self.driver.start(0, 0)
        self.loop.begin(0, 0)
        thread = threading.Thread(target=self.call)
        thread.start()
        there = self.loop.run(self.ending, self.signals)
        thread.join()
        return there

    def run(self) -> Samples:
        """Plays all blocks; what the device got, `[channels, frames]`."""
        assert self.play()
        return self.out.reshape(-1, self.channels).T

    def reports(self) -> list[tuple[str, int, int, float]]:
        """Kind, node with cell, token and number of each report."""
        records = report_ring(self.shared).drain(10**6)
        return [(REPORT_KINDS[kind], where, token, number) for kind, where, number, _, _, _, token, _ in records]

    def close(self) -> None:
        for descriptor in (self.bell, self.signals, self.signalling, self.shared.fd, self.taps.fd, self.capture.fd):
            os.close(descriptor)
        self.state.close()


@pytest.fixture
def engine(plugins: Loaded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Engine]]:
    """Makes engines; `native=False` leaves all blocks to the interpreter."""
    # a device's thread that waits for a processor is not lost
    monkeypatch.setattr(device, "STALL_SECONDS", PATIENCE)
    made: list[Engine] = []
    prepare, run, end = native_loop.NativeLoop.prepare, GraphPlayer.run, GraphPlayer.end_rows

    def make(graph: Graph, *, native: bool = True, **options: object) -> Engine:
        one = Engine(plugins, graph, **options)  # type: ignore[arg-type]
        made.append(one)

        def prepared(self: native_loop.NativeLoop, *args: object) -> bool:
            return native and prepare(self, *args)  # type: ignore[arg-type]

        def interpreted(self: GraphPlayer, x: Samples) -> Samples:
            one.reasons.append(CallReason.PLAY)
            one.interpreted.append(self.sample // BLOCK)
            return run(self, x)

        def ended(self: GraphPlayer) -> bool:
            one.reasons.append(CallReason.PUBLISH)
            return end(self)

        monkeypatch.setattr(native_loop.NativeLoop, "prepare", prepared)
        monkeypatch.setattr(GraphPlayer, "run", interpreted)
        monkeypatch.setattr(GraphPlayer, "end_rows", ended)
        return one

    yield make
    for one in made:
        one.close()


CHAIN = chain("gain", "filter", "delay", "compressor")
COUNTED = (HeaderWord.BLOCKS, HeaderWord.MISSED_BLOCKS, HeaderWord.NAN_BLOCKS, HeaderWord.LIMITED_BLOCKS,
           HeaderWord.CLIPPED_BLOCKS, HeaderWord.BEAT, HeaderWord.TEMPO, HeaderWord.BEAT_SAMPLE, HeaderWord.PLAYING,
           HeaderWord.HEARTBEAT, HeaderWord.TAP_WRITE, HeaderWord.BEAT_SEQUENCE, HeaderWord.CLOCK_SAMPLE,
           HeaderWord.CLOCK_NS, HeaderWord.CLOCK_NS_PER_SAMPLE, HeaderWord.CLOCK_SEQUENCE)  # fmt: skip
SEQUENCES = HeaderWord.CLOCK_SEQUENCE, HeaderWord.BEAT_SEQUENCE


def both(engine: Callable[..., Engine], prepare: Callable[[Engine], None], graph: Graph = CHAIN, **options: object):
    """The same run by machine code and by the interpreter; the first was left to machine code for the most part."""
    engines, sounds = [], []
    for native in (True, False):
        one = engine(graph, native=native, **options)
        prepare(one)
        engines.append(one)
        sounds.append(one.run())
    assert len(engines[0].reasons) < BLOCKS / 6
    assert len(engines[1].reasons) >= BLOCKS - 2
    return engines, sounds


def perform(one: Engine) -> None:
    """Changes at their samples: a value with its ramp, the tempo, the master volume."""
    take = one.player.take
    cells = [param.name for param in one.plugins.catalog["gain"].cells]
    take(NodeSet(1, cells.index("gain"), 0.4, 0.05, Sample(20_000)))
    take(NodeSet(3, 2, 0.5, 0.0, Sample(40_010)))
    take(SetTempo(97.0, 0.25, Sample(80_000)))


def test_samples_counters_reports_meters_and_copies_are_the_interpreters(engine):
    """Of one run, which is performed, recorded, listened to and kept for capture."""

    def prepare(one: Engine) -> None:
        perform(one)
        one.shared.words[HeaderWord.TAPPING] = 1
        for word in SEQUENCES:  # as an engine leaves them that is killed while it writes what they guard
            one.shared.words[word] = 7
        for tap, number in enumerate((2, -1, -2, 99)):
            one.taps.words[tap] = number

    (by_machine, by_interpreter), (y, z) = both(engine, prepare)
    assert np.abs(y).max() > 0.1
    np.testing.assert_array_equal(y, z)
    ours, theirs = by_machine.shared.words, by_interpreter.shared.words
    assert {word.name: ours[word] for word in COUNTED} == {word.name: theirs[word] for word in COUNTED}
    assert by_machine.player.sample == by_interpreter.player.sample == BLOCKS * BLOCK
    assert [ours[word] % 2 for word in SEQUENCES] == [0, 0], "a reader takes what is at rest for whole"
    assert ours[HeaderWord.MISSED_BLOCKS] == 0
    assert 0.0 < by_machine.shared.floats[HeaderWord.LOAD_MEAN] < 50.0
    ours, theirs = by_machine.reports(), by_interpreter.reports()
    assert [report for report in ours if report[0] == "beat"] == [report for report in theirs if report[0] == "beat"]
    assert [token for kind, _, token, _ in ours if kind == "beat"] == [1, 2, 3, 4]
    values = [[report for report in said if report[0] == "reported"] for said in (ours, theirs)]
    assert len(values[0]) > 20
    assert values[0] == values[1]
    ours, theirs = (np.array(one.shared.meters[: 4 * 7]).reshape(7, 4) for one in (by_machine, by_interpreter))
    np.testing.assert_allclose(ours[:, :3], theirs[:, :3], rtol=1e-5)
    assert ours[:, 0].tolist() == [-2.0, -1.0, 1.0, 2.0, 3.0, 4.0, 0.0]
    for name in ("tap_tags", "tap_out", "tap_in"):
        np.testing.assert_array_equal(
            *(np.frombuffer(one.shared.part(name), np.uint8) for one in (by_machine, by_interpreter))
        )
    assert np.frombuffer(by_machine.shared.part("tap_out"), np.float32).any()
    for name in ("words", "tags", "sound"):
        assert list(getattr(by_machine.taps, name)) == list(getattr(by_interpreter.taps, name))
    for name in ("place", "tags", "owners", "rows", "beat_tags", "beats", "sound"):
        np.testing.assert_array_equal(*(getattr(one.capture, name) for one in (by_machine, by_interpreter)))
    assert by_machine.capture.sound.any()


def test_blocks_in_which_the_interpreter_took_part_are_counted_by_reason(engine):
    one = engine(CHAIN)
    one.player.take(SetTempo(75.0, 0.25, Sample(80_000)))
    one.run()
    words = one.shared.words
    # a quarter of a beat in which the tempo halves takes 15 ln 2 / 75 s, 104 blocks; the rise 8 after the plan's
    assert [words[HeaderWord.INTERPRETED_BLOCKS + 1 + place] for place in range(6)] == [1, 103, 0, 0, 1, 7]
    assert words[HeaderWord.INTERPRETED_BLOCKS] == len(one.reasons)


@pytest.mark.parametrize(
    ("channels", "pairs"), [(4, ("1-2", "3-4")), (4, ("1-2", "cue")), (1, ()), (3, ("1-2", "3-4"))]
)
def test_a_device_gets_the_pairs_that_it_plays(engine, channels, pairs):
    if channels in (1, 3):
        whole = engine(CHAIN, channels=4, pairs=("1-2", "3-4")).run()
        np.testing.assert_array_equal(engine(CHAIN, channels=channels, pairs=pairs or ("1-2",)).run(), whole[:channels])
        return
    _, (y, z) = both(engine, perform, channels=channels, pairs=pairs)
    np.testing.assert_array_equal(y, z)
    assert y[2:].any() == (pairs[1] == "3-4")


def test_a_wire_from_out_carries_what_was_played_a_block_before(engine):
    played = Wire(End("out", "out"), End("n1", "in"))
    graph = chain("gain", "gain", pairs=False)

    def prepare(one: Engine) -> None:
        one.x[:, : 100 * BLOCK] = 0.0
        one.x[:, 101 * BLOCK :] = 0.0

    _, sounds = both(engine, prepare, Graph(graph.nodes, (*graph.wires, played)))
    np.testing.assert_array_equal(*sounds)
    blocks = sounds[0].reshape(2, -1, BLOCK)
    first = int(np.abs(blocks).max((0, 2)).argmax())
    assert not blocks[:, :first].any()
    np.testing.assert_array_equal(blocks[:, first:], np.repeat(blocks[:, first : first + 1], BLOCKS - first, 1))


@each("channels", [1, 2])
def test_a_file_loops_in_place_of_the_devices_input(engine, channels: int):
    file = noise(7001, channels, -6.0)
    _, (y, z) = both(engine, perform, file=file)
    np.testing.assert_array_equal(y, z)
    assert np.array_equal(*y) == (channels == 1)
    heard = np.abs(y[0, 200:20_000])
    assert heard.min() < heard.max()
    assert heard.max() > 0.1


def test_equal_channels_of_a_file_are_held_once_and_loop_as_they_are() -> None:
    mono, other = noise(3 * BLOCK, 1, -6.0), noise(3 * BLOCK, 2, -6.0)
    equal, three = np.repeat(mono, 2, axis=0), np.concatenate([other, other[:1]])
    for sound, channels, held in (
        (mono, 2, 1),
        (equal, 2, 1),
        (other, 2, 2),
        (equal, 4, 2),
        (three, 2, 2),
        (three, 1, 1),
    ):
        used = loop_sound(sound, channels)
        assert len(used) == held
        np.testing.assert_array_equal(fit_channel_count(used, channels), fit_channel_count(sound, channels))
    np.testing.assert_array_equal(fit_channel_count(equal, 4)[2:], 0.0)


def test_an_input_with_nan_or_at_full_scale_is_counted_and_the_output_limited(engine):
    def loud(one: Engine) -> None:
        one.x *= 8.0
        one.x[0, 700 * BLOCK + 5] = np.nan

    (by_machine, by_interpreter), (y, z) = both(engine, loud, chain("gain", "filter"))
    np.testing.assert_array_equal(y, z)
    ours, theirs = by_machine.player.counters, by_interpreter.player.counters
    assert (ours, [*ours.sound]) == (theirs, [*theirs.sound])
    assert ours.nan_blocks == 1
    assert ours.clipped_blocks > BLOCKS / 2
    assert ours.limited_blocks > BLOCKS / 2


@each("blocks", [1, BLOCKS - 1300])
def test_node_that_gives_infinity_fails_and_is_tried_again(engine, blocks: int):
    first = 300 if blocks == 1 else 1300

    def overflow(one: Engine) -> None:
        cells = [param.name for param in one.plugins.catalog["gain"].cells]
        one.player.take(NodeSet(1, cells.index("gain"), 4.0, 0.0, Sample(100)))
        one.x[:, first * BLOCK : (first + blocks) * BLOCK] *= np.float32(3e38)

    (by_machine, _), (y, z) = both(engine, overflow, chain("gain", "filter"))
    np.testing.assert_array_equal(y, z)
    # after a long turn of a busy machine a block is the interpreter's, which may be this one
    assert (CallReason.PUBLISH in by_machine.reasons) == (first not in by_machine.interpreted)
    # of the long one again in the block in which it is tried again
    assert {report.state for report in by_machine.loop.to_say} == {"failed"}


def test_tracks_that_begin_where_strips_are_played_at_ports_are_told_their_names(engine):
    """Strips are kept before the tracks begin, beside a session that had their names told."""

    def begin(tapping: int) -> None:
        one.shared.words[HeaderWord.SESSIONS] += 1
        one.shared.words[HeaderWord.TAPPING] = tapping

    one = engine(CHAIN, before={BLOCKS // 3: lambda: begin(SESSION), BLOCKS // 2: lambda: begin(SESSION | TRACKS)})
    one.shared.words[HeaderWord.STRIPS] = 1
    one.run()
    lines = [to_line(record) for record in ByteRing(one.shared).read()]
    assert [next(key for key in ("engine", "tracks") if key in line) for line in lines] == ["engine", "tracks"] * 2
    assert [name for _, name, _, mixed in lines[-1]["tracks"] if mixed]


def test_a_device_that_falls_silent_is_lost_after_its_time(engine, monkeypatch):
    monkeypatch.setattr(device, "STALL_SECONDS", 1.5)
    one = engine(CHAIN, calls=50, ends=False)
    silent: list[int] = []
    wait = one.driver.wait

    def noted() -> int:
        block = wait()
        silent.append(one.driver._pace[PaceWord.SILENT_MS])
        return block

    monkeypatch.setattr(one.driver, "wait", noted)
    assert one.play() is False
    # a busy machine may have been silent before; every other wait of the last silence is machine code's
    begins = max((n for n, ms in enumerate(silent) if n and ms < silent[n - 1]), default=0)
    assert [ms for ms in silent[begins:] if ms] == list(range(2 * device.LOOK_MS, 1501, 2 * device.LOOK_MS))


def test_device_given_up_while_it_calls_is_lost(engine):
    one = engine(CHAIN, calls=1)
    one.driver.start(0, 0)
    one.loop.begin(0, 0)
    portaudio_process(one.x.T.copy().ctypes.data, one.out.ctypes.data, BLOCK, 0, 0, one.state.words)
    one.driver._give_up()
    assert not one.loop.run([], one.signals)
    assert one.shared.words[HeaderWord.BLOCKS] == 0


class Leader(Gain):
    played = 0

    def process(self, io: IO) -> None:
        super().process(io)
        self.played += 1
        io.steer(120.0, 0.0, 1.3 if self.played == 40 else 0.0)


def test_beat_that_a_leader_skips_to_is_reported() -> None:
    one = Engine(Types.of("leader", Leader), chain("leader", "gain", pairs=False))
    one.run()
    assert [token for kind, _, token, _ in one.reports() if kind == "beat"] == [1, 2, 3, 4, 5]
    one.close()


def test_events_of_nodes_are_reported_of_machine_codes_blocks() -> None:
    wires = Wire(End("in", "in"), End("n1", "in")), Wire(End("n1", "out"), End("out", "out"))
    one = Engine(Types.of("beater", Beater), Graph((NodeSpec("n0", "beater"), NodeSpec("n1", "gain")), wires))
    one.shared.words[HeaderWord.ECHO] = -1
    one.run()
    assert [where for kind, where, _, _ in one.reports() if kind == "played"] == [1 << 16 | 61] * (BLOCKS // 10)
    assert one.shared.words[HeaderWord.INTERPRETED_OTHER] == 7  # the rise
    one.close()


def test_commands_and_a_next_plan_end_it(engine, plugins):
    one = engine(CHAIN)
    cells = [param.name for param in plugins.catalog["gain"].cells]

    def mute() -> None:
        command_ring(one.shared).push(NodeSet(1, cells.index("mute"), 1.0, 0.0, NOW))

    def load() -> None:
        assert one.shared.words[HeaderWord.COMMANDS_READ]
        spec = StreamSpec(RATE, BLOCK, 2)
        plan = compile_plan(chain("gain", "filter"), plugins.catalog, plugins.make, spec, {"n0": 11, "n1": 12})
        one.loop.next_plan = NextPlan(plan, 2, 0.0, 0.0, b"{}")

    one.before = {300: mute, 310: load}
    y = one.run()
    assert one.loop.next_plan is None
    assert sorted(one.player.plan.hosts) == [11, 12]
    loudness = np.abs(y).reshape(2, -1, BLOCK).max(axis=(0, 2))
    assert loudness[:300].any()
    assert loudness[-100:].all()


def test_a_parameter_that_glides_is_machine_codes(engine):
    sounds = []
    for native in (False, True):
        one = engine(CHAIN, native=native)
        cells = [param.name for param in one.plugins.catalog["gain"].cells]
        one.player.take(NodeSet(1, cells.index("gain"), 0.1, 1.9, Sample(1000)))
        sounds.append(one.run())
    np.testing.assert_array_equal(*sounds)
    assert one.interpreted == [*range(8), 15]  # the rise, and the action
    assert CallReason.PUBLISH not in one.reasons


def test_values_set_by_commands_are_machine_codes(engine):
    """Of curves, at once: in order, several in a block and while others glide. A gain of the host's is not."""
    sounds = []
    for native in (False, True):
        one = engine(CHAIN, native=native)
        names = {kind: [param.name for param in one.plugins.catalog[kind].cells] for kind in ("gain", "filter")}
        gain, cutoff, wet = names["gain"].index("gain"), names["filter"].index("cutoff"), names["gain"].index("wet")
        ring = command_ring(one.shared)

        def push(n: int, ring=ring, gain=gain, cutoff=cutoff, wet=wet) -> None:
            ring.push(NodeSet(1, gain, n % 7 / 7))
            ring.push(NodeSet(2, cutoff, 200.0 + n))
            ring.push(NodeSet(1, gain, n % 5 / 5, n % 4 * 125.5 / RATE))
            if n in (500, 503):
                ring.push(NodeSet(1, wet, float(n == 503)))
                ring.push(NodeSet(2, cutoff, 7000.0, 0.02))
                ring.push(NodeSet(2, cutoff, 400.0))

        one.before = {n: partial(push, n) for n in (*range(20, 400, 3), *range(500, 700))}
        sounds.append(one.run())
    np.testing.assert_array_equal(*sounds)
    assert one.interpreted == [*range(8), 500, 503, 508]
    # and where the glide of the gain has ended, 5 ms after the second command
    assert one.shared.words[HeaderWord.INTERPRETED_MOVING] == 3


@each("moves", ["by a wire", "as its plan is made"])
def test_values_of_a_node_that_moved_as_its_plan_was_made_are_machine_codes(engine, plugins, moves: str):
    graph, spec = chain("gain", "filter", pairs=False), StreamSpec(RATE, BLOCK, 2)
    if moves == "by a wire":
        graph = Graph(
            (*graph.nodes, NodeSpec("lfo", "lfo")), (*graph.wires, Wire(End("lfo", "out"), End("n1", "cutoff")))
        )
    one = engine(graph)
    q = [param.name for param in plugins.catalog["filter"].cells].index("q")
    ring = command_ring(one.shared)

    def load() -> None:
        ids = {"n0": 1, "n1": 2, "lfo": 3}
        plan = compile_plan(graph, plugins.catalog, plugins.make, spec, ids, one.player.plan)
        one.loop.next_plan = NextPlan(plan, 2, 0.0, 0.0, b"{}")

    if moves == "as its plan is made":
        one.before = {100: partial(ring.push, NodeSet(2, q, 4.0, 0.2)), 105: load}
    one.before |= {n: partial(ring.push, NodeSet(2, q, 1.0 + n % 3)) for n in range(600, BLOCKS)}
    one.run()
    assert max(one.interpreted) < 600
    assert one.shared.words[HeaderWord.COMMANDS_READ] >= BLOCKS - 600


class Software:
    """The engine's loop over the software clock, whose buffer holds out while the machine has no time for it."""

    def __init__(self, plugins: Loaded | Types, graph: Graph, pool: Pool | None = None) -> None:
        spec = StreamSpec(RATE, 256, 2)
        self.shared, self.bell = Shared.create(MappingShape.of(RATE, 256, 2)), os.eventfd(0, os.EFD_NONBLOCK)
        self.driver = Headless(DriverOptions(RATE, 256, 2, buffer_blocks=2000))
        self.loop = EngineLoop(GraphPlayer(spec), self.driver, self.shared, self.bell, LoopParts(pool=pool))
        ids = {node.name: place + 1 for place, node in enumerate(graph.nodes)}
        plan = compile_plan(graph, plugins.catalog, plugins.make, spec, ids)
        self.loop.next_plan = NextPlan(plan, 1, 0.0, 0.0, b"{}")
        self.signals, self.signalling = os.pipe2(os.O_NONBLOCK)
        self.ending: list[int] = []

    def run(self) -> None:
        self.driver.start(0, time.monotonic_ns())
        self.loop.begin(0, 0)
        self.loop.run(self.ending, self.signals)

    def blocks(self) -> int:
        return self.shared.words[HeaderWord.BLOCKS]

    def play(self) -> Iterator[Software]:
        """Plays from after its first blocks until the test is over."""
        thread = threading.Thread(target=self.run)
        thread.start()
        wait_until(lambda: self.blocks() >= 20, 10.0, "its first blocks are played")
        yield self
        self.ending.append(1)
        os.write(self.signalling, b"x")
        thread.join(PATIENCE)
        assert not thread.is_alive()
        self.close()

    def close(self) -> None:
        for descriptor in (self.bell, self.signals, self.signalling, self.shared.fd):
            os.close(descriptor)


@pytest.fixture
def software(plugins: Loaded) -> Iterator[Software]:
    yield from Software(plugins, CHAIN).play()


@pytest.fixture
def working(plugins: Loaded) -> Iterator[Software]:
    """With a node that plays by a worker."""
    rig = Rig()
    use_pool(rig.pool)
    kind = kind_of(Model(hop=480))
    info = inspect_processor("model", kind, "", "local", play=False)
    one = Software(Types(Catalog({"model": info}), lambda name: kind()), chain("model", pairs=False), rig.pool)
    wait_until(rig.pool.is_settled, PATIENCE, "the worker is ready")
    yield from one.play()
    use_pool(None)
    rig.close()


def test_blocks_are_played_while_the_interpreters_lock_is_held(software):
    # a C function that is called with the lock held: no other thread of the interpreter runs meanwhile
    sleep = ctypes.PyDLL(None).usleep

    def played() -> bool:
        before = software.blocks()
        sleep(900_000)
        # 169 blocks in that time; the interpreter's loop would have played none. A busy machine may not have the time
        return software.blocks() - before > 40

    wait_until(played, PATIENCE, "blocks are played in 0.9 s")


@each("call", [1, 10])
def test_error_of_a_node_is_raised_by_the_loop(monkeypatch, call: int):
    """In a block that the interpreter begins, the first, and in one of machine code's."""
    run, calls = Plan.run_node_at, count(1)

    def fail(self: Plan, place: int, time: BlockTime) -> None:
        if next(calls) == call:
            raise ZeroDivisionError
        run(self, place, time)

    monkeypatch.setattr(Plan, "run_node_at", fail)
    one = Software(Types.of("gain", Gain), chain("gain", pairs=False))
    with pytest.raises(ZeroDivisionError):
        one.run()
    assert one.blocks() == call - 1
    one.close()


def test_the_clock_goes_on_from_where_machine_code_left_it(software):
    words = software.shared.words
    first = words[HeaderWord.HEARTBEAT]
    wait_until(lambda: words[HeaderWord.HEARTBEAT] >= first + 100, 10.0, "a hundred blocks are played")
    # each word is read once: the loop writes on
    assert words[HeaderWord.CLOCK_SAMPLE] % 256 == 0
    wait_until(lambda: words[HeaderWord.CLOCK_SEQUENCE] % 2 == 0, 10.0, "the clock is whole")
    last = words[HeaderWord.HEARTBEAT]
    assert software.driver.time_of(last) <= time.monotonic_ns(), "blocks come at the clock's pace"


def test_a_worker_gets_hops_and_its_answers_are_played_while_the_interpreters_lock_is_held(working):
    (stream, *_) = working.loop.player.plan.hosts[1].processor.client.streams
    words, slot = stream.entry.words, stream.entry.slots[stream.slot]
    sleep = ctypes.PyDLL(None).usleep

    def in_step() -> bool:
        # each word is read once while the loop writes on: how many hops there were lies between two numbers of blocks
        first, posted, after = working.blocks(), int(slot[SlotWord.POSTED]), working.blocks()
        done = words[WorkerWord.DONE]
        sleep(900_000)
        answers = words[WorkerWord.DONE] - done
        last, hops, end = working.blocks(), int(slot[SlotWord.POSTED]) - posted, working.blocks()
        # on a busy machine an answer may be late, and its block the interpreter's
        held = (last - after) * 256 - 480 <= hops * 480 <= (end - first) * 256 + 480
        return last - after > 40 and held and answers > hops / 2

    wait_until(in_step, PATIENCE, "hops are posted and answered in 0.9 s as blocks are played")
