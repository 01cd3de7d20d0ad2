"""Layout of a node's step as a list of calls: wires, modulation, then the processor's own for a whole block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.params import Value
from antiphon.kernel.contract.processor import IO, BlockTime, Event
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.modulation import Modulation
from antiphon.kernel.graph.native.rows import PlanWord
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.wire_signals import DelayLine, InputMix
from antiphon.kernel.native.step import Step


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

    def at(self, name: str, offset: int) -> Value:
        self.reads.add(name)
        return super().at(name, offset)

    def emit(self, event: Event) -> None:
        raise PluginError("a step cannot emit events")


class NativeNode(Protocol):
    """A node's step of a plan, from which its row is packed."""

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
    def moves(self) -> tuple[Modulation, ...]: ...


def laid_out(node: NativeNode, block: int) -> Step | None:
    """A node's calls up to the output check; None if the interpreter has to run it."""
    host = node.host
    io = LayoutIO(node.ins, node.outs, host.by_name, block)
    try:
        own = host.processor.step(io)
    except Exception:
        return None  # where it is the processor's fault, `process` says so
    if own is None or io.reads & {move.cell.param.name for move in node.moves}:
        return None
    wires = [line.step(block) for line in node.lines] + [gather.step(block) for gather in node.gathers]
    steps = [*wires, *(move.step(block) for move in node.moves)]
    return Step(tuple(call for step in (*steps, own) for call in step.calls), own.reports, own.conditions)
