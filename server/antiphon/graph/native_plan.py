"""The part of a plan that machine code plays: nodes whose processors offer a `step`, a run of them in one call.

A row of a table is a node: calls of kernels, packed. A row is valid while its node rests: no parameter moves by a
change or a ramp, no event waits, it has not failed. Where one is not valid, and at a node without a step, the machine
code returns; the interpreter runs that node for the block (`Plan.run_step`), and packs the row again when it rests.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.parameter_cell import ParamCell
from antiphon.contract.params import Value
from antiphon.contract.processor import IO, BlockTime, Event
from antiphon.errors import PluginError
from antiphon.graph.modulation import Modulation
from antiphon.graph.node_host import LOAD_SHARE, NodeHost
from antiphon.graph.wire_signals import NO_CALLS, DelayLine, InputMix
from antiphon.native.compiling import kernel
from antiphon.native.dsp import peak
from antiphon.native.intrinsics import address_f32, address_f64, address_i64, call_c, offset
from antiphon.native.kernel import AUDIO, Kernel, f64, i64, i64p
from antiphon.native.step import Step

_NEVER = 1 << 62
"""Nanoseconds of a block without a limit."""
_libc = ctypes.CDLL(None)


class Word(IntEnum):
    """Indices of the 64-bit words that the interpreter and the machine code share."""

    NEXT = 0  # the row to begin with, and after a call the one that it stopped at
    ROWS = 1
    PERIOD = 2  # nanoseconds after which a node is late
    SPENT = 3  # nanoseconds of the node that was late
    CLOCK = 4  # the address of clock_gettime
    NOW = 5  # and 6: struct timespec
    AT_WORK = 7  # the address of the word that gets the number of the node at work
    NOWHERE = 8  # AT_WORK where nobody watches
    TIMES = 9  # how many places of the block's time are in `times`
    SAMPLE = 10
    BEAT = 11  # a float, as TEMPO
    TEMPO = 12
    PLAYING = 13
    STEP = 14  # beats a frame, 0 while the clock stands
    LENGTH = 15  # frames a beat
    SIZE = 16


class Row(IntEnum):
    """Indices of the 64-bit words of one node."""

    NUMBER = 0
    HOST = 1  # the address of the node's version, and of its load
    LOAD = 2
    PACKED = 3  # the version that this row was packed for
    CALLS = 4  # the first call: wires, modulation and the processor's own
    AFTER = 5  # the first call of what follows the check of the outputs
    END = 6
    OUTS = 7  # the first output
    OUTS_END = 8
    SIZE = 9


class Stop(IntEnum):
    """Why the machine code returned."""

    DONE = 0
    HELD = 1
    BAD = 2
    LATE = 3


class BlockWord(Enum):
    """Stands for a number of the block's time where a step is laid out; it takes no part in arithmetic."""

    SAMPLE = Word.SAMPLE
    BEAT = Word.BEAT
    TEMPO = Word.TEMPO
    PLAYING = Word.PLAYING
    STEP = Word.STEP
    LENGTH = Word.LENGTH

    def __bool__(self) -> bool:
        raise PluginError("a step cannot decide by the block's time; its kernel can")


class _LayoutTime(BlockTime):
    """The block's time where a step is laid out."""

    def __init__(self) -> None:
        super().__init__(*[BlockWord.SAMPLE, BlockWord.BEAT, BlockWord.TEMPO, BlockWord.PLAYING])  # type: ignore[arg-type]

    def beats_per_frame(self, rate: float) -> float:
        return BlockWord.STEP  # type: ignore[return-value]

    def frames_per_beat(self, rate: float) -> float:
        return BlockWord.LENGTH  # type: ignore[return-value]


class LayoutIO(IO):
    """The argument of `Processor.step` where it is packed: whole blocks, and a time that stands for each block's.

    Attributes:
        reads: Parameters that were read as numbers.
    """

    def __init__(self, ins: Sequence[Samples], outs: Sequence[Samples], cells: Mapping[str, ParamCell], block: int):
        super().__init__(ins, outs, cells, _LayoutTime(), block)
        self.reads: set[str] = set()

    def at(self, name: str, offset: int) -> Value:
        self.reads.add(name)
        return super().at(name, offset)

    def emit(self, event: Event) -> None:
        raise PluginError("a step cannot emit events")


class NativeNode(Protocol):
    """What a row is made of: a node's step of a plan."""

    @property
    def host(self) -> NodeHost: ...
    @property
    def lines(self) -> tuple[DelayLine, ...]: ...
    @property
    def gathers(self) -> tuple[InputMix, ...]: ...
    @property
    def ins(self) -> list[Samples]: ...
    @property
    def outs(self) -> list[Samples]: ...
    @property
    def io(self) -> IO: ...
    @property
    def notes(self) -> tuple[object, ...]: ...
    @property
    def moves(self) -> tuple[Modulation, ...]: ...


class PlanSteps(Protocol):
    """The plan, for what the interpreter has to do."""

    @property
    def watched(self) -> bool: ...
    @property
    def work_at(self) -> int: ...
    def run_place(self, place: int, time: BlockTime) -> None:
        """Computes a node's inputs and runs it, for a whole block."""

    def conclude(self, place: int, time: BlockTime, reason: str) -> None:
        """Ends a node's block whose outputs are computed; `reason` why it has failed, or ""."""


@kernel
def monotonic_ns(s: i64p) -> i64:
    """The monotonic clock."""
    call_c(s[Word.CLOCK], 1, offset(s, Word.NOW))
    return s[Word.NOW] * 1000000000 + s[Word.NOW + 1]


@kernel
def run_rows(s: i64p, rows: i64p, calls: i64p, outs: i64p, times: i64p, block_ns: f64, frames: i64) -> i64:
    """Runs nodes from `Word.NEXT` on, until one needs the interpreter. Returns a member of `Stop`.

    calls: address of a function and of its arguments, each; outs: address, stride and channels, each; times: index of
    a word of the block's time, and the address it is copied to; block_ns: duration of a block.
    """
    for n in range(s[Word.TIMES]):
        target = address_i64(times[2 * n + 1])
        target[0] = s[times[2 * n]]
    work = address_i64(s[Word.AT_WORK])
    begun = monotonic_ns(s)
    for k in range(s[Word.NEXT], s[Word.ROWS]):
        row = offset(rows, k * Row.SIZE)
        version = address_i64(row[Row.HOST])
        if version[0] != row[Row.PACKED]:
            s[Word.NEXT] = k
            return Stop.HELD
        work[0] = row[Row.NUMBER]
        for n in range(row[Row.CALLS], row[Row.AFTER]):
            call_c(calls[2 * n], calls[2 * n + 1])
        bad = 0
        for n in range(row[Row.OUTS], row[Row.OUTS_END]):
            if peak(address_f32(outs[3 * n]), outs[3 * n + 1], outs[3 * n + 2], frames) < 0.0:
                bad = 1
        ended = monotonic_ns(s)
        spent = ended - begun
        begun = ended
        load = address_f64(row[Row.LOAD])
        load[0] = load[0] + LOAD_SHARE * (f64(spent) / block_ns - load[0])
        if bad == 1 or spent > s[Word.PERIOD]:
            s[Word.NEXT] = k
            s[Word.SPENT] = spent
            return Stop.BAD if bad == 1 else Stop.LATE
        for n in range(row[Row.AFTER], row[Row.END]):
            call_c(calls[2 * n], calls[2 * n + 1])
    s[Word.NEXT] = s[Word.ROWS]
    return Stop.DONE


_Calls = Sequence[tuple[Kernel[Any, Any], tuple[Any, ...]]]


class _Shape:
    """Where a row's calls and words lie, and the kernels of the node's own step, which never change."""

    def __init__(self, before: _Calls, most: int, call: int, word: int) -> None:
        self.kernels = [item for item, _ in before]
        self.call, self.word, self.most = call, word, most


def _before(node: NativeNode, block: int) -> Step | None:
    """A node's calls up to the check of its outputs; None where the interpreter has to run it."""
    host = node.host
    if node.notes:
        return None
    io = LayoutIO(node.ins, node.outs, host.by_name, block)
    try:
        own = host.processor.step(io)
    except PluginError:
        return None
    if own is None or io.reads & {move.cell.param.name for move in node.moves}:
        return None
    wires = NO_CALLS
    for part in (*node.lines, *node.gathers, *node.moves):
        wires = wires.then(part.step(block))
    return wires.then(own)


class NativePlan:
    """The rows of one plan. Built off the block path."""

    def __init__(self, nodes: Sequence[NativeNode], spec: StreamSpec) -> None:
        self._nodes, self._spec = nodes, spec
        self._period = round(spec.block * 1e9 / spec.rate)
        laid = [_before(node, spec.block) for node in nodes]
        after = [node.host.most_mixing() for node in nodes]
        sizes = [
            0 if step is None else sum(item.size for item, _ in (*step.calls, *last))
            for step, last in zip(laid, after, strict=True)
        ]
        counts = [0 if step is None else len(step.calls) + len(last) for step, last in zip(laid, after, strict=True)]
        self._rows = np.zeros(max(1, len(nodes)) * Row.SIZE, np.int64)
        self._calls = np.zeros(max(1, 2 * sum(counts)), np.int64)
        self._arguments = np.zeros(max(1, sum(sizes)), np.int64)
        self._words = np.zeros(Word.SIZE, np.int64)
        self._whole, self._real = memoryview(self._words), memoryview(self._words.view(np.float64))
        self._row_view, self._call_view = memoryview(self._rows), memoryview(self._calls)
        self._argument_view = memoryview(self._arguments)
        self._shapes: list[_Shape | None] = []
        self._reports: list[Mapping[str, tuple[NDArray[Any], int]]] = []
        self._kept: list[object] = [None] * len(nodes)
        outs: list[int] = []
        times: list[int] = []
        call = word = 0
        for place, (node, step) in enumerate(zip(nodes, laid, strict=True)):
            at = place * Row.SIZE
            host = node.host
            self._rows[at + Row.NUMBER], self._rows[at + Row.HOST] = host.number, host.version.ctypes.data
            self._rows[at + Row.LOAD], self._rows[at + Row.PACKED] = host.loads.ctypes.data, -1
            self._rows[at + Row.OUTS] = len(outs) // 3
            for out in host.outs:
                outs += [out.ctypes.data, out.strides[0] // out.itemsize, out.shape[0]]
            self._rows[at + Row.OUTS_END] = len(outs) // 3
            self._shapes.append(None if step is None else _Shape(step.calls, counts[place], call, word))
            self._reports.append({} if step is None else step.reports)
            if step is not None:
                times += self._times(step.calls, word)
            call, word = call + counts[place], word + sizes[place]
        self._outs, self._copies = np.array(outs or [0], np.int64), np.array(times or [0], np.int64)
        whole = self._whole
        whole[Word.ROWS], whole[Word.TIMES] = len(nodes), len(times) // 2
        whole[Word.CLOCK] = ctypes.cast(_libc.clock_gettime, ctypes.c_void_p).value or 0
        self._nowhere = self._words.ctypes.data + 8 * Word.NOWHERE
        self._run = run_rows.bind(
            self._words, self._rows, self._calls, self._outs, self._copies, spec.block * 1e9 / spec.rate, spec.block
        )
        for place in range(len(nodes)):
            self.settle(place)

    def _times(self, calls: _Calls, word: int) -> list[int]:
        """Index of a word of the block's time and the address of an argument, for each argument that stands for one."""
        found = []
        for item, args in calls:
            for kind, value in zip(item.types.values(), args, strict=True):
                if isinstance(value, BlockWord):
                    found += [int(value.value), self._arguments.ctypes.data + 8 * word]
                word += len(AUDIO) if kind == "Audio" else 1
        return found

    def run(self, play: PlanSteps, time: BlockTime) -> None:
        """Runs all nodes for one whole block."""
        whole, real = self._whole, self._real
        whole[Word.NEXT], whole[Word.SAMPLE], whole[Word.PLAYING] = 0, time.sample, int(time.playing)
        rate = self._spec.rate
        real[Word.BEAT], real[Word.TEMPO] = time.beat, time.tempo
        real[Word.STEP], real[Word.LENGTH] = time.beats_per_frame(rate), time.frames_per_beat(rate)
        whole[Word.PERIOD] = self._period if play.watched else _NEVER
        whole[Word.AT_WORK] = play.work_at or self._nowhere
        while stop := self._run():
            place = whole[Word.NEXT]
            if stop == Stop.HELD:
                play.run_place(place, time)
                self.settle(place)
            elif stop == Stop.BAD:
                play.conclude(place, time, "gave NaN or infinity")
            else:
                play.conclude(place, time, self._nodes[place].host.judge(whole[Word.SPENT], time.sample))
            whole[Word.NEXT] = place + 1

    def settle(self, place: int) -> None:
        """Packs a row if its node rests."""
        shape, node = self._shapes[place], self._nodes[place]
        if shape is None:
            return
        version = int(node.host.version[0])
        if not node.host.rests(node.moves) or node.io.events_out:
            return
        step = _before(node, self._spec.block)
        if step is None or [item for item, _ in step.calls] != shape.kernels:
            return
        last = node.host.mixing(node.ins, self._spec.block)
        call, word, row = shape.call, shape.word, place * Row.SIZE
        self._kept[place] = (step, last)
        rows, calls = self._row_view, self._call_view
        rows[row + Row.CALLS], rows[row + Row.AFTER] = call, call + len(step.calls)
        rows[row + Row.END] = call + len(step.calls) + len(last)
        for item, args in (*step.calls, *last):
            item.pack([0 if isinstance(value, BlockWord) else value for value in args], self._argument_view, word)
            calls[2 * call], calls[2 * call + 1] = item.packed, self._arguments.ctypes.data + 8 * word
            call, word = call + 1, word + item.size
        rows[row + Row.PACKED] = version

    def report(self, place: int, values: dict[str, float]) -> None:
        """Reads what a node's kernels left for its readonly parameters, where its row is valid."""
        if self._rows[place * Row.SIZE + Row.PACKED] != self._nodes[place].host.version[0]:
            return
        for name, (array, at) in self._reports[place].items():
            param = self._nodes[place].host.by_name[name].param
            values[name] = min(max(float(array[at]), param.low), param.high)
