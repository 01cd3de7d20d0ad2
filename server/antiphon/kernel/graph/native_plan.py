"""Machine-code part of a plan: nodes with a `step` are run in sequence by one call.

A row is valid while its node is at rest: no parameter change, no pending event, no failure; a parameter that the step
reads as a curve may move. The interpreter runs the node of an invalid row (`Plan.run_node_at`), and repacks the row.
"""

import ctypes
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import is_
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.params import Value
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.modulation import Modulation
from antiphon.kernel.graph.native_rows import CellUse, NodeRow, PackedCalls, PlanWord, Stop, run_plan
from antiphon.kernel.graph.node_host import NOT_FINITE, NodeHost, Touch
from antiphon.kernel.graph.wire_signals import DelayLine, InputMix, NoteWire
from antiphon.kernel.runtime.platform import c_function
from antiphon.native.call_back import CallBack
from antiphon.native.kernel import Call, Kernel, Step, address, words_of

_T = TypeVar("_T")


@dataclass(slots=True)
class NodeStep:
    """One node of a plan, with its input mixes, wires and buffers."""

    host: NodeHost
    gathers: tuple[InputMix, ...]
    lines: tuple[DelayLine, ...]
    io: IO
    ins: list[Samples]
    outs: list[Samples]
    notes: tuple[NoteWire, ...] = ()
    moves: tuple[Modulation, ...] = ()
    depends_on: frozenset[int] = frozenset()
    input_names: tuple[str, ...] = ()  # names of the ports and parameters of `gathers`
    listeners: tuple[NodeHost, ...] = ()

    def gather(self, name: str) -> InputMix:
        """The signal at a port or parameter of that name; silence where no wire ends."""
        if name in self.input_names:
            return self.gathers[self.input_names.index(name)]
        return InputMix([], 1, self.host.spec.block)


class BlockWord(Enum):
    """Placeholder for a block-time argument in a step's layout; takes no part in arithmetic."""

    SAMPLE = PlanWord.SAMPLE
    BEAT = PlanWord.BEAT
    TEMPO = PlanWord.TEMPO
    PLAYING = PlanWord.PLAYING
    STEP = PlanWord.STEP
    LENGTH = PlanWord.LENGTH

    def __bool__(self) -> bool:
        raise PluginError("a step cannot decide by the block's time; its kernel can")


MOVED = (
    "its step takes the block's time with some values and not with others; pass it always, and let its kernel decide"
)
"""Why a node fails whose step has its placeholders in other places than when its plan was made."""


class _LayoutTime(BlockTime):
    """Block time in a step's layout, made of placeholders."""

    def __init__(self) -> None:
        self.sample: Any = BlockWord.SAMPLE
        self.beat: Any = BlockWord.BEAT
        self.tempo: Any = BlockWord.TEMPO
        self.playing: Any = BlockWord.PLAYING

    def beats_per_frame(self, rate: float) -> Any:
        return BlockWord.STEP

    def frames_per_beat(self, rate: float) -> Any:
        return BlockWord.LENGTH


class LayoutIO(IO):
    """`IO` for packing `Processor.step`: whole blocks, and placeholders for the block's time."""

    def __init__(self, ins: Sequence[Samples], outs: Sequence[Samples], cells: Mapping[str, ParamCell], block: int):
        super().__init__(ins, outs, cells, _LayoutTime(), block)
        self.reads: set[str] = set()
        self.curves: set[str] = set()

    def curve(self, name: str) -> NDArray[np.float32]:
        self.curves.add(name)
        return super().curve(name)

    def at(self, name: str, offset: int) -> Value:
        self.reads.add(name)
        return super().at(name, offset)

    def emit(self, event: Event) -> None:
        raise PluginError("a step cannot emit events")


def lay_out_calls(node: NodeStep, io: LayoutIO, wires: tuple[Call, ...]) -> tuple[Step, list[ParamCell]] | None:
    """Returns a node's calls up to the output check, and the cells that may move; None if the interpreter runs it.

    wires: The calls that compute its inputs.
    """
    host = node.host
    io.reads.clear()
    io.curves.clear()
    try:
        own = host.processor.step(io)
    except Exception:
        return None  # where it is the processor's fault, `process` says so
    if own is None or io.reads & {move.cell.param.name for move in node.moves}:
        return None
    moves = (call for move in node.moves for call in move.step(io.frames, io.time.sample).calls)
    step = Step((*wires, *moves, *own.calls), own.reports, own.conditions)
    cells = {cell.param.name: cell for cell in host.gains} | {name: host.by_name[name] for name in io.curves}
    return step, [cell for name, cell in cells.items() if name not in io.reads]


_SPARE_CALLS, _SPARE_WORDS, _SPARE_TIMES, _EVERY = 24, 384, 8, 16
"""Room for a node whose step is None as its plan is built, and every how many blocks at rest it is asked again."""
_NEVER = 1 << 62
"""Duration of a block without a time limit, in nanoseconds."""


@dataclass(slots=True)
class _NodeIndices:
    """Table indices of one node.

    `kernels`: the kernels of its conditions, and of its calls before the check of its outputs; None where the
    interpreter always runs it. `packed`: the calls in the tables; keeps the arrays of their arguments.
    """

    node: NodeStep
    io: LayoutIO
    wires: tuple[Call, ...]
    kernels: tuple[Kernel[..., Any], ...] | None
    reports: Mapping[str, tuple[NDArray[Any], int]]
    call: int
    word: int
    curves: Sequence[ParamCell] = ()  # cells that the step of the last layout reads as curves alone
    packed: list[Call] = field(default_factory=list)
    spare: int = -1  # its first place of the block's time where its step may come later, else -1
    blocks: int = 0  # at rest, of a node that is not placed


class Interpreter(Protocol):
    """A plan, as it runs the nodes that machine code does not."""

    at_work: ctypes.c_int64

    def run_node_at(self, place: int, time: BlockTime) -> None:
        """Runs the node of that place for a whole block."""

    def conclude(self, place: int, time: BlockTime, reason: str) -> None:
        """Ends a whole block of that node, after its outputs are computed."""


class NativePlan:
    """The rows of one plan. Built off the block path. `words`: of the plan, for machine code (`PlanWord`)."""

    def __init__(
        self, play: Interpreter, nodes: Sequence[NodeStep], spec: StreamSpec, opening: PackedCalls, closing: PackedCalls
    ) -> None:
        """Packs the rows of the nodes at rest. `opening`, `closing`: the calls before the nodes, and after them."""
        self._play, self._spec, self._period = weakref.ref(play), spec, spec.block * 1e9 / spec.rate
        self._around = opening, closing  # held, as their addresses are in the words
        self._places: list[_NodeIndices] = []
        outs: list[tuple[int, int, int]] = []
        cells: list[tuple[int, int, int]] = []
        times: list[tuple[int, int]] = []
        rows = np.zeros((max(1, len(nodes)), NodeRow.SIZE), np.int64)
        laid_out: list[tuple[_NodeIndices, Step]] = []
        call = word = 0
        for row, node in zip(rows, nodes, strict=False):
            host, io = node.host, LayoutIO(node.ins, node.outs, node.host.by_name, spec.block)
            parts = [line.step(spec.block) for line in node.lines] + [mix.step(spec.block) for mix in node.gathers]
            wires = tuple(call for part in parts for call in part.calls)
            laid = lay_out_calls(node, io, wires)
            row[NodeRow.NUMBER], row[NodeRow.HOST], row[NodeRow.LOAD] = (
                host.number,
                address(host.version),
                address(host.loads),
            )
            row[NodeRow.PACKED], row[NodeRow.OUTS] = -1, len(outs)
            outs += [(address(out), out.shape[1], out.shape[0]) for out in host.outs]
            row[NodeRow.OUTS_END], row[NodeRow.CELLS] = len(outs), len(cells)
            cells += [
                (ctypes.addressof(cell.line), address(cell.full), CellUse.GAIN * (cell in host.gains))
                for cell in dict.fromkeys((*host.cells, *host.gains))
            ]
            row[NodeRow.CELLS_END] = len(cells)
            if laid is None:
                self._places.append(_NodeIndices(node, io, wires, None, {}, call, word))
                if host.info.native:
                    self._places[-1].spare = len(times)
                    times += [(PlanWord.SAMPLE, word + _SPARE_WORDS)] * _SPARE_TIMES
                    call, word = call + _SPARE_CALLS, word + _SPARE_WORDS + 1
                continue
            step, curves = laid
            self._places.append(_NodeIndices(node, io, wires, _kernels(step), step.reports, call, word, curves))
            laid_out.append((self._places[-1], step))
            times += _times(step, word)
            kernels = [*_kernels(step), *host.longest_mix_kernels()]
            call, word = call + len(kernels), word + sum(item.size for item in kernels)
        self._rows, self._calls = rows, np.zeros((max(1, call), 2), np.int64)
        self._arguments, self.words = np.zeros(max(1, word), np.int64), np.zeros(PlanWord.SIZE, np.int64)
        # memoryviews of plain ints: cheap single reads and writes per block
        self._row_words, self._call_words = rows.reshape(-1).data, self._calls.reshape(-1).data
        self._whole, self._real = self.words.data, self.words.data.cast("B").cast("d")
        first = address(self._arguments)
        self._outs = np.array(outs or [(0, 0, 0)], np.int64)
        self._cells = np.array(cells or [(0, 0, 0)], np.int64)
        self._times = np.array([(index, first + 8 * place) for index, place in times] or [(0, 0)], np.int64)
        self._whole[PlanWord.ROWS], self._whole[PlanWord.TIMES] = len(nodes), len(times)
        self._whole[PlanWord.CLOCK] = c_function("clock_gettime")
        self._whole[PlanWord.BLOCK], self._real[PlanWord.BLOCK_NS] = spec.block, self._period
        self._whole[PlanWord.NODES], self._whole[PlanWord.CALLS] = address(rows), address(self._calls)
        self._whole[PlanWord.OUTS], self._whole[PlanWord.MOMENTS] = address(self._outs), address(self._times)
        self._whole[PlanWord.CELLS] = address(self._cells)
        self._whole[PlanWord.OPENING], self._whole[PlanWord.OPENING_COUNT] = opening.table, opening.count
        self._whole[PlanWord.CLOSING], self._whole[PlanWord.CLOSING_COUNT] = closing.table, closing.count
        self._run = run_plan.bind(self.words)
        self._time = BlockTime()
        self._begun = False  # it plays, so that this is the loop's thread
        self._opened: Callable[[], None] | None = None
        here = weakref.ref(self)  # neither this nor the plan is held by itself: the last reference to it frees it
        self._call_back = CallBack(lambda reason, place: _alive(here)._run_row(reason, place))
        self._whole[PlanWord.CALL_BACK] = self._call_back.address
        self._whole[PlanWord.PERIOD], self._whole[PlanWord.AT_WORK] = _NEVER, ctypes.addressof(play.at_work)
        for at, step in laid_out:
            self._pack(at, (*step.conditions, *step.calls))
        for place in range(len(nodes)):
            self._mark_curves(place)  # also of a node that moves now
            self.settle(place)

    def watch(self, at_work: ctypes.c_int64) -> None:
        """Does what `Plan.watch` does, for machine code."""
        self._whole[PlanWord.PERIOD], self._whole[PlanWord.AT_WORK] = int(self._period), ctypes.addressof(at_work)

    def run(self, time: BlockTime) -> None:
        """Runs the plan for one whole block."""
        self.begin(time)
        if self._run():
            self.check()
            raise KeyboardInterrupt  # another hook than ours has what a signal raised

    def check(self) -> None:
        """Raises what the interpreter raised in a row that machine code called it for."""
        self._call_back.check()

    def begin(self, time: BlockTime, opened: Callable[[], None] | None = None) -> None:
        """Writes the block's time for the kernels.

        `opened`: called once in each block before its first row that the interpreter runs, where machine code begins
        the blocks and writes their times; None for one block.
        """
        whole, real, rate = self._whole, self._real, self._spec.rate
        self._time, self._opened, self._begun = time, opened, True
        whole[PlanWord.SAMPLE] = time.sample
        if whole[PlanWord.TIMES]:
            whole[PlanWord.PLAYING] = int(time.playing)
            real[PlanWord.BEAT], real[PlanWord.TEMPO] = time.beat, time.tempo
            real[PlanWord.STEP], real[PlanWord.LENGTH] = time.beats_per_frame(rate), time.frames_per_beat(rate)

    def _run_row(self, reason: int, place: int) -> int:
        """Runs or ends the node at that place, for machine code; `reason`: a `Stop`."""
        whole, time, play = self._whole, self._time, _alive(self._play)
        if self._opened is not None and time.sample != whole[PlanWord.SAMPLE]:
            time.sample, time.beat = whole[PlanWord.SAMPLE], self._real[PlanWord.BEAT]
            self._opened()
        at, touch = self._places[place], int(Touch.OTHER)
        if reason == Stop.HELD:
            touch = Touch.PYTHON
            if at.kernels is not None:
                touch = at.node.host.unrest(at.node.moves) or touch
            play.run_node_at(place, time)
            if at.kernels is not None and at.node.io.events_in:
                touch = Touch.EVENT
            self.settle(place)
        elif reason == Stop.BAD:
            play.conclude(place, time, NOT_FINITE)
        else:
            play.conclude(place, time, at.node.host.judge(whole[PlanWord.SPENT], time.sample))
        whole[PlanWord.TOUCHED] |= touch
        return 0

    @property
    def readonly_values(self) -> Iterator[tuple[NodeHost, str, NDArray[Any], int]]:
        """Yields each node's readonly parameters, with array and index of the value that its kernels write."""
        for at in self._places:
            for name, (array, index) in at.reports.items():
                yield at.node.host, name, array, index

    def settle(self, place: int) -> None:
        """Packs a node's row if the node rests. A node whose step moved its placeholders fails with the next block."""
        at = self._places[place]
        node = at.node
        version = int(node.host.version[0])
        if node.io.events_out or node.host.unrest(node.moves, at.curves if self._begun else ()):
            return
        if at.kernels is None and not self._find_room(at):
            return
        laid = lay_out_calls(node, at.io, at.wires)
        if laid is None or _kernels(laid[0]) != at.kernels:
            return
        step, curves = laid
        if curves != at.curves:
            at.curves = curves
            self._mark_curves(place)
            if node.host.unrest(node.moves, curves if self._begun else ()):
                return
        last = node.host.mixing(node.ins, self._spec.block)
        if not self._pack(at, (*step.conditions, *step.calls, *last)):
            node.host.forced = MOVED
            return
        rows, row = self._row_words, place * NodeRow.SIZE
        rows[row + NodeRow.ASKS], rows[row + NodeRow.CALLS] = at.call, at.call + len(step.conditions)
        rows[row + NodeRow.AFTER] = at.call + len(at.kernels)
        rows[row + NodeRow.END] = at.call + len(at.kernels) + len(last)
        rows[row + NodeRow.PACKED] = version
        if self._begun:
            node.host.hand_over()

    def _find_room(self, at: _NodeIndices) -> bool:
        """Places the calls of a node whose step was None as the plan was built, if it has one by now that fits."""
        at.blocks += 1
        laid = None if at.spare < 0 or at.blocks % _EVERY else lay_out_calls(at.node, at.io, at.wires)
        if laid is None or laid[0].reports:  # which the loop has to know as the plan begins
            return False
        kernels, times = _kernels(laid[0]), _times(laid[0], at.word)
        whole = [*kernels, *at.node.host.longest_mix_kernels()]
        fits = len(whole) <= _SPARE_CALLS and sum(item.size for item in whole) <= _SPARE_WORDS
        if not fits or len(times) > _SPARE_TIMES or not all(item.address for item in whole):
            return False
        for n, (index, word) in enumerate(times, at.spare):
            self._times[n] = index, address(self._arguments) + 8 * word
        self._pack(at, (*laid[0].conditions, *laid[0].calls))
        at.kernels = kernels
        return True

    def _pack(self, at: _NodeIndices, calls: Iterable[Call]) -> bool:
        """Packs what differs in a node's calls from the packed ones. Returns False where a placeholder has moved."""
        packed, word, first = at.packed, at.word, address(self._arguments)
        for n, (item, args) in enumerate(calls):
            if n < len(packed) and packed[n][0] is not item:
                del packed[n:]  # as those after it lie elsewhere too
            held = packed[n][1] if n < len(packed) else None
            if held is None or not all(map(is_, args, held)):
                if held and any(BlockWord in (type(a), type(b)) for a, b in zip(args, held, strict=True) if a is not b):
                    return False
                plain = [0 if isinstance(value, BlockWord) else value for value in args]
                item.pack(plain, self._arguments.data, word, held or ())
                packed[n : n + 1] = [(item, args)]
                where = 2 * (at.call + n)
                self._call_words[where], self._call_words[where + 1] = item.packed_address, first + 8 * word
            word += item.size
        return True

    def _mark_curves(self, place: int) -> None:
        """Marks the node's own parameters that machine code may set (`CellUse`)."""
        at, first = self._places[place], self._row_words[place * NodeRow.SIZE + NodeRow.CELLS]
        for n, cell in enumerate(at.node.host.cells):
            if cell not in at.node.host.gains:
                is_curve = cell in at.curves and cell.param.kind == "float"
                self._cells[first + n, 2] = CellUse.CURVE if is_curve else CellUse.OTHER

    def native(self, place: int) -> bool:
        """True if machine code ran the node at that place."""
        return self._row_words[place * NodeRow.SIZE + NodeRow.PACKED] == int(self._places[place].node.host.version[0])

    def report(self, place: int, values: dict[str, float]) -> None:
        """Reads the readonly values a node's kernels wrote, if machine code runs it."""
        at = self._places[place]
        if at.reports and self.native(place):
            for name, (array, index) in at.reports.items():
                values[name] = at.node.host.by_name[name].param.clip(float(array[index]))


def _alive(reference: weakref.ref[_T]) -> _T:
    it = reference()
    assert it is not None
    return it


def _kernels(step: Step) -> tuple[Kernel[..., Any], ...]:
    return tuple(item for item, _ in (*step.conditions, *step.calls))


def _times(step: Step, word: int) -> list[tuple[int, int]]:
    """Returns a step's placeholders: index of block-time word and of argument word; its first argument is `word`."""
    found = []
    for item, args in (*step.conditions, *step.calls):
        for kind, value in zip(item.types.values(), args, strict=True):
            if isinstance(value, BlockWord):
                found.append((int(value.value), word))
            word += words_of(kind)
    return found
