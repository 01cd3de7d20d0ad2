"""The host of one processor in a plan: dry delay, wet, bypass, mute, and the handling of failures."""

import os
import time as _time
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import LineUse, ParamCell
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.processor import IO, Processor
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import AntiphonError, PluginError, WorkerLost
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.graph.modulation import Modulation, Modulations
from antiphon.kernel.graph.overruns import Overruns
from antiphon.kernel.runtime.importing import plugin_location
from antiphon.native import dsp
from antiphon.native.kernel import Call, Kernel

FADE = 0.010
MAX_EVENTS = 1024
"""Maximum commanded events of a node within one block; the same limit holds for emitted events."""
LOAD_SHARE = 0.02
"""Smoothing weight of the newest block in a node's load, as for the engine's load."""
_SWITCH_SMOOTH = 0.005
NOT_FINITE = "gave NaN or infinity"
_MIXING: list[Kernel[..., Any]] = [dsp.delay_line, dsp.node_gain, dsp.mix_wet, dsp.copy_sound, dsp.complement]
_EACH_OUTPUT: list[Kernel[..., Any]] = [dsp.scale, dsp.scale, dsp.last_frame]


class Touch(IntEnum):
    """Reasons why the interpreter takes part in a block: bits, in the order of `HeaderWord.INTERPRETED_ACTION`."""

    ACTION = 1  # an action is due
    MOVING = 2  # a parameter or a level moves
    EVENT = 4  # a node gets events
    PYTHON = 8  # a node has no step, or leaves this block to `process`
    PLAN = 16  # another plan or driver is asked for, or fades in
    OTHER = 32  # a failure, a fade of the output, a recording that begins, late publication


def cell_of(param: Param, spec: StreamSpec, value: Value) -> ParamCell:
    """Parameter cell of a node; bypass and mute are smoothed, so that they fade."""
    if param.name in ("bypass", "mute"):
        fading = Param(param.name, "float", 0.0, 0.0, 1.0, smooth=_SWITCH_SMOOTH)
        return ParamCell(fading, spec.rate, spec.block, float(bool(value)))
    return ParamCell(param, spec.rate, spec.block, value)


class UnpreparedProcessor(Processor):
    """Replaces a processor that could not be prepared; its node has failed permanently."""

    def process(self, io: IO) -> None:
        raise PluginError("it was not prepared")

    def reset(self) -> None:
        raise PluginError("it was not prepared")


def _inputs_of_prepare(info: ProcessorInfo, values: Mapping[str, Value]) -> tuple[Mapping[str, Value], list[int]]:
    """The input of `prepare`: values, and when each file or folder among them last changed, in ns; 0 for none."""
    read = info.values_for_prepare(values)
    return read, [_changed(str(read[param.name])) for param in info.params if param.kind == "file"]


def _changed(name: str) -> int:
    try:
        return os.stat(locate_asset(name)).st_mtime_ns if name else 0
    except (OSError, AntiphonError):
        return 0


class NodeHost:
    """A node's processor, parameter cells and output buffers. Successive plans with the node share its host.

    `outs`: output buffers, float32 `[channels, block]` each. `unmuted`: the first output before its mute, float32
    `[channels, block]`, where the cue needs it; else None.
    """

    def __init__(
        self,
        number: int,
        name: str,
        info: ProcessorInfo,
        runner: ProcessorRunner,
        spec: StreamSpec,
        values: Mapping[str, Value],
        feedback: int = 0,
    ) -> None:
        """Creates a host around a runner with a prepared processor; `values`: those that differ from the defaults."""
        self.feedback = feedback  # frames by which the processor shortens its delay, because it closes a cycle
        self.number, self.name, self.info, self.spec = number, name, info, spec
        self.runner, self.processor = runner, runner.processor
        cells = [cell_of(param, spec, values.get(param.name, param.default)) for param in info.cells]
        self.cells = tuple(cells)  # parameters in the order of `ProcessorInfo.cells`
        self.by_name = {cell.param.name: cell for cell in cells}
        self._bypass, self._mute, self._wet = cells[:3]
        self._health = ParamCell(Param("health", default=1.0, smooth=FADE), spec.rate, spec.block)
        self.gains = (self._bypass, self._mute, self._wet, self._health)
        self.active: list[ParamCell] = []
        self._moves = Modulations()
        self.events: list[Event] = []
        self.endings: list[Event] = []
        self._prepared = _inputs_of_prepare(info, values)
        self.latency = int(self.processor.latency)  # of the processor, frames
        self.outs = tuple(
            np.zeros((port.channels or spec.channels, spec.block), np.float32) for port in info.outputs if port.signal
        )
        inputs = [port.channels or spec.channels for port in info.inputs if port.signal]
        kinds = {port.kind for ports in (info.inputs, info.outputs) for port in [p for p in ports if p.signal][:1]}
        self.has_dry = bool(inputs and self.outs) and inputs[0] == self.outs[0].shape[0] and len(kinds) == 1
        self._at = tuple(out.ctypes.data for out in self.outs)
        self._ring = np.zeros((inputs[0], self.latency + 1), np.float32) if self.has_dry else None
        self._ring_at = np.zeros(1, np.int64)
        self.dry = np.zeros((inputs[0], spec.block), np.float32) if self.has_dry else None
        self._last = [np.zeros(out.shape[0], np.float32) for out in self.outs]
        self._held = [last.copy() for last in self._last]
        self._tail_left = 0
        self._tail = max(1, round(FADE * spec.rate))
        self._rise = np.arange(1, self._tail + 1, dtype=np.float32) / np.float32(self._tail)
        self._curve = np.zeros(spec.block, np.float32)
        # after a reset: frames until new input has passed the latency, and frames left of the fade-in after that
        self._until = self._opening = 0
        self._mending = False
        self._after = 0
        self._period_ns = spec.block * 1e9 / spec.rate
        self._overruns = Overruns(self._period_ns)
        self.failed = ""  # why the node has failed, or ""
        self.retry = 0.0  # seconds from the failure until it is tried again, 0 where it is not
        self.forced = ""  # failure that the next block reports, or ""
        self.unmuted: Samples | None = None
        self.loads = np.zeros(1, np.float64)
        self.version = np.zeros(2, np.int64)  # and `LineUse`: of the cells that machine code renders

    @property
    def load(self) -> float:
        """Mean share of the block period that the processor uses."""
        return float(self.loads[0])

    def go_on(self) -> None:
        """Has signals that are wired to parameters from now on fade in, as the node has run before."""
        self._moves.sounded = True

    def wake(self) -> None:
        """Invalidates the node's packed row: the interpreter runs it until it rests again (`native_plan`)."""
        self.version[0] += 1

    def unrest(self, moves: tuple[Modulation, ...], curves: Sequence[ParamCell] = ()) -> int:
        """Why the interpreter has to run the node (`Touch`); 0 if blocks differ only in their sound.

        `curves`: the cells that may move, as machine code renders them.
        """
        if self.events or self.endings:
            return Touch.EVENT
        if self.failed or self.forced or self._mending or self._opening or self._tail_left or self._overruns.open_ns:
            return Touch.OTHER
        if any(cell.waits or cell not in curves for cell in self._moving):
            return Touch.MOVING
        # last, for the loader's thread: `hand_over` sets it before it takes the cells
        return Touch.MOVING if self.version[1] or not self._moves.are_steady(moves) else 0

    @property
    def _moving(self) -> list[ParamCell]:
        """The active cells but those that only a control wire moves."""
        return [cell for cell in self.active if not (cell.moved and cell.steady(self._after))]

    def hand_over(self) -> None:
        """Leaves the cells that move to machine code, until the interpreter runs the node again."""
        for cell in self._moving:
            cell.line.moves = self.version[1] = LineUse.RENDERED
            self.active.remove(cell)

    def _take_back(self) -> None:
        self.version[1] = LineUse.NOT
        for cell in (*self.cells, self._health):
            if cell.line.moves == LineUse.ENDED and not cell.moved:
                cell.rest()
            elif cell.line.moves and cell not in self.active:
                self.active.append(cell)
            cell.line.moves = LineUse.NOT
        self.wake()

    @property
    def awaits(self) -> bool:
        """Whether the clock waits for the node with its present values (`Processor.awaits`). On the block path."""
        values = {cell.param.name: cell.text or cell.param.decode(cell.coming) for cell in self.cells}
        try:
            return self.processor.awaits(values)
        except Exception:
            return False  # with the graph's values it raised nothing

    def awaits_with(self, values: Mapping[str, Value]) -> bool:
        """Does the same as `awaits`, with the values that a graph gives the node."""
        return self.processor.awaits({p.name: p.default for p in self.info.cells} | self.info.checked(values))

    @property
    def prepare_fault(self) -> str:
        """Reason why the processor could not be prepared, or ""."""
        return self.failed if isinstance(self.processor, UnpreparedProcessor) else ""

    def is_reusable_with(self, values: Mapping[str, Value], *, cyclic: bool) -> bool:
        """True if a plan with these values can reuse this processor without a new `prepare`."""
        in_cycle = cyclic and self.processor.compensates
        return _inputs_of_prepare(self.info, values) == self._prepared and in_cycle == bool(self.feedback)

    def post(self, cell: int, offset: int, number: float, ramp: float) -> bool:
        """Sets parameter `cell` at frame `offset` of the next block, over `ramp` seconds; False if full."""
        self.wake()
        target = self.cells[cell]
        if target not in self.active:
            self.active.append(target)
        return target.post(offset, number, ramp)

    def play(self, event: Event) -> bool:
        """Adds an event to the next block. Returns False if `MAX_EVENTS` are queued."""
        if len(self.events) >= MAX_EVENTS:
            return False
        self.wake()
        self.events.append(event)
        return True

    def reset(self) -> None:
        """Resets the processor; a node that has failed runs again."""
        self.wake()
        self.runner.retry()
        if not self._try_reset():
            return
        self._hold()
        self._until, self._opening = self.latency, self._tail if self.latency else 0
        if self.failed:
            self.failed = ""
            self.retry = 0.0
            self._mending = True

    def mark_failed(self, reason: str) -> None:
        """Marks the node as failed before its first block: it passes the dry signal until it is reset."""
        self.wake()
        self.failed = reason
        self._health.set_without_ramp(0.0)

    def resume(self, states: list[tuple[float, float, int, int]]) -> None:
        """Restores the parameters from the states of another host's cells, in the same order."""
        for cell, state in zip(self.cells, states, strict=True):
            cell.resume(state)
        self.active = list(self.cells)
        self.wake()

    def cut(self) -> None:
        """Silences the node for a panic: resets processor and dry delay. A failed node stays failed."""
        self.wake()
        self._try_reset()
        if self._ring is not None:
            self._ring.fill(0.0)
        self._tail_left = self._until = self._opening = 0
        for last in self._last:
            last.fill(0.0)

    def run(self, io: IO, watched: bool, moves: tuple[Modulation, ...] = ()) -> str:
        """Runs one block; `watched`: overruns count as a failure; `moves` is one tuple for as long as the plan plays.

        Returns why the node failed in this block, or "". Raises WorkerLost: offline, the node's worker has ended.
        """
        frames, now = io.frames, io.time.sample
        if self.version[1]:
            self._take_back()
        if moves is not self._moves.wired:
            self.wake()
            self.active += [cell for cell in self._moves.rewire(moves) if cell not in self.active]
        if self._mending and self._until < frames:
            # the dry signal stays until the processor's output has passed its latency
            self._mending = False
            self._overruns.begin_probation(now, self.spec.rate)
            self._health.post(self._until, 1.0)
            if self._health not in self.active:
                self.active.append(self._health)
        for cell in self.active:
            cell.render(now, frames)
        self._moves.run(frames)
        x = io.audio_in[0] if self.has_dry else None
        reason = ""
        if not self.failed:
            reason = self._process(io, watched)
        else:
            for out in self.outs:
                out[:, :frames] = 0.0
        return self.conclude(x, now, frames, reason)

    def conclude(self, x: Samples | None, now: int, frames: int, reason: str) -> str:
        """Ends a block whose outputs are filled. `reason`: why the node has failed in it, or ""."""
        if self.version[1]:
            self._take_back()
        if reason == NOT_FINITE:
            reason = self._overruns.record_nan_block(reason, now)
            self.retry = self._overruns.pause
        if self.forced:
            reason, self.forced, self.retry = "" if self.failed else self.forced, "", 0.0
        self._after = now + frames
        dry, calls = self._dry(x, frames)
        for item, args in calls:
            item(*args)
        if reason:
            self._fail(reason, frames)
        if self._opening:
            self._open(frames)
        for item, args in self._mix(dry, frames):
            item(*args)
        if self._tail_left:
            self._slide(frames)
        for item, args in self._keep(frames):
            item(*args)
        if self.active:
            self.active = [cell for cell in self.active if cell.settle(self._after)]
        return reason

    def _process(self, io: IO, watched: bool) -> str:
        frames = io.frames
        started = _time.perf_counter_ns()
        try:
            runner = self.runner
            reason = runner.run(io, self.active) if self.processor.split and self.active else runner.call(io)
        except WorkerLost:
            raise  # offline: the rest of the file would be wrong
        except Exception as error:
            return f"raised {type(error).__name__}: {error}"[:200] + plugin_location(error)
        if reason:
            return reason
        for place, out in enumerate(self.outs):
            if not dsp.finite.call(self._at[place], out.shape[1], out.shape[0], frames):
                return NOT_FINITE
        spent = _time.perf_counter_ns() - started
        self.loads[0] += LOAD_SHARE * (spent / self._period_ns - self.loads[0])
        if watched:
            if spent > self._period_ns:
                return self.judge(spent, io.time.sample)
            if self._overruns.open_ns:
                self._overruns.record_timely_block()
        return ""

    def judge(self, spent: int, sample: int) -> str:
        """Accounts for a block of `spent` ns, longer than its period; returns the failure reason, or ""."""
        self.wake()
        reason = self._overruns.record_overrun(spent, sample)
        if reason:
            self.retry = self._overruns.pause
        return reason

    def _dry(self, x: Samples | None, frames: int) -> tuple[Samples | None, list[Call]]:
        """The dry signal of an input, None without one, and the calls that delay it by the node's latency."""
        if x is None or self.latency == 0:
            return x, []
        return self.dry, [(dsp.delay_line, (x, self.dry, self._ring, self._ring_at, self.latency, frames))]

    def _fail(self, reason: str, frames: int) -> None:
        self.wake()
        self.failed = reason
        self.loads[0] = 0.0
        for out in self.outs:
            out[:, :frames] = 0.0
        self._health.set_without_ramp(0.0)
        self._mending = False
        self._hold()

    def _hold(self) -> None:
        """Stores the last sample, from which the output fades to the new sound in 10 ms."""
        for held, last in zip(self._held, self._last, strict=True):
            held[:] = last
        self._tail_left = self._tail

    def _mix(self, dry: Samples | None, frames: int) -> list[Call]:
        """Returns the calls that mix wet and dry, and mute. Without a dry signal bypass is silence, and wet a level."""
        bypass, mute, wet, health = self.gains
        curve = self._curve
        moving = any(cell in self.gains for cell in self.active)
        calls: list[Call] = []
        if moving or wet.target != 1.0 or bypass.target != 0.0 or health.target != 1.0:
            calls.append((dsp.node_gain, (curve, bypass.full, wet.full, health.full, frames)))
            if dry is not None:
                calls.append((dsp.mix_wet, (self.outs[0], dry, curve, frames)))
            calls += [(dsp.scale, (out, curve, frames)) for out in self.outs[dry is not None :]]
        if self.unmuted is not None:
            calls.append((dsp.copy_sound, (self.outs[0], self.unmuted)))
        if moving or mute.target != 0.0:
            calls.append((dsp.complement, (curve, mute.full, frames)))
            calls += [(dsp.scale, (out, curve, frames)) for out in self.outs]
        return calls

    def _keep(self, frames: int) -> list[Call]:
        """Returns the calls that store the last frame, from which a fade begins after a failure or a reset."""
        return [(dsp.last_frame, (out, last, frames)) for out, last in zip(self.outs, self._last, strict=True)]

    def mixing(self, ins: Sequence[Samples], frames: int) -> list[Call]:
        """Returns the calls of a block after the check of its outputs, while the node is at rest."""
        dry, calls = self._dry(ins[0] if self.has_dry else None, frames)
        return [*calls, *self._mix(dry, frames), *self._keep(frames)]

    def longest_mix_kernels(self) -> list[Kernel[..., Any]]:
        """Kernels of the longest possible `mixing` call list."""
        return [*_MIXING, *_EACH_OUTPUT * len(self.outs)]

    def _slide(self, frames: int) -> None:
        done, count = self._tail - self._tail_left, min(frames, self._tail_left)
        rise = self._rise[done : done + count]
        for held, out in zip(self._held, self.outs, strict=True):
            part = out[:, :count]
            part *= rise
            part += held[:, None] * (1.0 - rise)
        self._tail_left -= count

    def _open(self, frames: int) -> None:
        """After a reset, keeps the output silent for the node's latency, then fades it in over 10 ms."""
        silent = min(frames, self._until)
        done, count = self._tail - self._opening, min(frames - silent, self._opening)
        curve = self._curve
        curve[:silent] = 0.0
        curve[silent : silent + count] = self._rise[done : done + count]
        curve[silent + count :] = 1.0
        for out in self.outs:
            dsp.scale(out, curve, frames)
        self._until -= silent
        self._opening -= count

    def _try_reset(self) -> bool:
        """Resets the processor. Returns False when that raised an error, which the next block reports as a failure."""
        try:
            self.processor.reset()
        except Exception as error:
            self.forced = f"reset raised {type(error).__name__}: {error}"[:200]
            return False
        return True
