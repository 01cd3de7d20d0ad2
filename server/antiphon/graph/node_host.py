"""One processor in a plan: what the host does around `process`.

Dry delay, wet, bypass, mute, the NaN guard, the overrun watch, and failure: a processor that raises,
gives NaN or overruns for a second is heard as its dry input until `/node/NAME/reset`.
"""

from __future__ import annotations

import time as _time
from collections.abc import Mapping

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import ProcessorInfo
from antiphon.contract.parameter_cell import ParamCell
from antiphon.contract.params import Param, Value
from antiphon.contract.processor import IO, Event, Processor
from antiphon.contract.runner import ProcessorRunner
from antiphon.errors import PluginError, WorkerLost
from antiphon.graph.modulation import Modulation, Modulations
from antiphon.native import dsp

FADE = 0.010
OVERRUN_SECONDS = 1.0
MAX_EVENTS = 1024
"""Commanded notes and controls a node takes within one block; as many as it may emit."""
_SWITCH_SMOOTH = 0.005


def cell_of(param: Param, spec: StreamSpec, value: Value) -> ParamCell:
    """A node's parameter as a cell; its switches fade."""
    if param.name in ("bypass", "mute"):
        fading = Param(param.name, "float", 0.0, 0.0, 1.0, smooth=_SWITCH_SMOOTH)
        return ParamCell(fading, spec.rate, spec.block, float(bool(value)))
    return ParamCell(param, spec.rate, spec.block, value)


class Unprepared(Processor):
    """In the place of a processor that cannot be prepared. Its node has failed before its first block, and stays so."""

    def process(self, io: IO) -> None:
        raise PluginError("it was not prepared")

    def reset(self) -> None:
        raise PluginError("it was not prepared")


class NodeHost:
    """A node's processor, parameter cells and output buffers. Shared by the plans that hold the node."""

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
        """feedback: frames by which the processor shortens its line, because it closes a cycle."""
        self.feedback = feedback
        self.number, self.name, self.info, self.spec = number, name, info, spec
        self.runner, self.processor = runner, runner.processor
        cells = [cell_of(param, spec, values.get(param.name, param.default)) for param in info.cells]
        self.cells = tuple(cells)
        self.by_name = {cell.param.name: cell for cell in cells}
        self._bypass, self._mute, self._wet = cells[:3]
        self._health = ParamCell(Param("health", default=1.0, smooth=FADE), spec.rate, spec.block)
        self._gains = (self._bypass, self._mute, self._wet, self._health)
        self.active: list[ParamCell] = []
        self._moves = Modulations()
        self.events: list[Event] = []
        self.endings: list[Event] = []
        self._prepared = info.prepared_with(values)
        self.latency = int(self.processor.latency)
        self.outs = tuple(
            np.zeros((port.channels or spec.channels, spec.block), np.float32) for port in info.outputs if port.signal
        )
        inputs = [port.channels or spec.channels for port in info.inputs if port.signal]
        kinds = {port.kind for ports in (info.inputs, info.outputs) for port in [p for p in ports if p.signal][:1]}
        self.has_dry = bool(inputs and self.outs) and inputs[0] == self.outs[0].shape[0] and len(kinds) == 1
        self._at = tuple(out.ctypes.data for out in self.outs)
        self._ring = np.zeros((inputs[0], self.latency + 1), np.float32) if self.has_dry else None
        self._ring_at = 0
        self.dry = np.zeros((inputs[0], spec.block), np.float32) if self.has_dry else None
        self._last = [np.zeros(out.shape[0], np.float32) for out in self.outs]
        self._held = [last.copy() for last in self._last]
        self._tail_left = 0
        self._tail = max(1, round(FADE * spec.rate))
        self._rise = np.arange(1, self._tail + 1, dtype=np.float32) / np.float32(self._tail)
        self._curve = np.zeros(spec.block, np.float32)
        # after a reset: frames until what goes in from then on comes out, and those of its fade that are left
        self._until = self._opening = 0
        self._mending = False
        self._period_ns = spec.block * 1e9 / spec.rate
        self._overrun_ns = 0.0
        self.failed = ""
        self.forced = ""

    @property
    def unprepared(self) -> str:
        """Why its processor was not prepared, or ""."""
        return self.failed if isinstance(self.processor, Unprepared) else ""

    def settled(self, values: Mapping[str, Value], *, cyclic: bool) -> bool:
        """Whether a plan that asks for `values` can keep this processor: what takes a restart is as it was."""
        in_cycle = cyclic and self.processor.compensates
        return self.info.prepared_with(values) == self._prepared and in_cycle == bool(self.feedback)

    def post(self, cell: int, offset: int, number: float, ramp: float) -> bool:
        """A parameter change at a frame of the coming block."""
        target = self.cells[cell]
        if target not in self.active:
            self.active.append(target)
        return target.post(offset, number, ramp)

    def play(self, event: Event) -> bool:
        """An event for the coming block; False when the block holds too many."""
        if len(self.events) >= MAX_EVENTS:
            return False
        self.events.append(event)
        return True

    def reset(self) -> None:
        """Clears the processor and gives it another chance."""
        self.runner.retry()
        if not self._guarded_reset():
            return
        self._hold()
        self._until, self._opening = self.latency, self._tail if self.latency else 0
        if self.failed:
            self.failed = ""
            self._overrun_ns = 0.0
            self._mending = True

    def stand_aside(self, reason: str) -> None:
        """Fails before the first block: the node is dry from the start, until it is reset."""
        self.failed = reason
        self._health.rest_at(0.0)

    def resume(self, states: list[tuple[float, float, int, int]]) -> None:
        """Parameters go on from those of another host of this node."""
        for cell, state in zip(self.cells, states, strict=True):
            cell.resume(state)
        self.active = list(self.cells)

    def cut(self) -> None:
        """Panic: tails are cut; a failed node stays failed."""
        self._guarded_reset()
        if self._ring is not None:
            self._ring.fill(0.0)
        self._tail_left = self._until = self._opening = 0
        for last in self._last:
            last.fill(0.0)

    def run(self, io: IO, watched: bool, moves: tuple[Modulation, ...] = ()) -> str:
        """One block. Returns "" or, in the block in which the node fails, the reason.

        moves: the control wires that end in its parameters; the same tuple for as long as the plan plays.
        """
        frames, now = io.frames, io.time.sample
        if moves is not self._moves.wired:
            self.active += [cell for cell in self._moves.rewire(moves) if cell not in self.active]
        if self._mending and self._until < frames:
            # the dry sound stays until there is another
            self._mending = False
            self._health.post(self._until, 1.0)
            if self._health not in self.active:
                self.active.append(self._health)
        for cell in self.active:
            cell.render(now, frames)
        self._moves.run(frames)
        wet_input = io.audio_in[0] if self.has_dry else None
        reason = ""
        if not self.failed:
            reason = self._process(io, watched)
        else:
            for out in self.outs:
                out[:, :frames] = 0.0
        if self.forced:
            reason, self.forced = "" if self.failed else self.forced, ""
        dry = self._dry(wet_input, frames) if wet_input is not None else None
        if reason:
            self._fail(reason, frames)
        if self._opening:
            self._open(frames)
        self._mix(dry, frames)
        for last, out in zip(self._last, self.outs, strict=True):
            last[:] = out[:, frames - 1]
        if self.active:
            after = now + frames
            self.active = [cell for cell in self.active if cell.settle(after)]
        return reason

    def _process(self, io: IO, watched: bool) -> str:
        frames = io.frames
        started = _time.perf_counter_ns()
        try:
            runner = self.runner
            reason = runner.run(io, self.active) if self.processor.split and self.active else runner.call(io)
        except WorkerLost:
            raise  # of a file: what comes after would not be what was asked for
        except Exception as error:
            return f"raised {type(error).__name__}: {error}"[:200]
        if reason:
            return reason
        for place, out in enumerate(self.outs):
            top = dsp.peak.call(self._at[place], out.shape[1], out.shape[0], frames)
            if top < 0.0:
                return "gave NaN or infinity"
        spent = _time.perf_counter_ns() - started
        if watched:
            if spent > self._period_ns:
                self._overrun_ns += spent
                if self._overrun_ns >= OVERRUN_SECONDS * 1e9:
                    return f"overran: {spent / 1e6:.1f} ms for a block of {self._period_ns / 1e6:.1f} ms"
            elif self._overrun_ns > 0.0:
                self._overrun_ns = max(0.0, self._overrun_ns - self._period_ns)
        return ""

    def _dry(self, x: Samples, frames: int) -> Samples:
        if self.latency == 0:
            return x
        assert self.dry is not None
        assert self._ring is not None
        dsp.delay_line(x, self.dry, self._ring, self._ring_at, self.latency, frames)
        self._ring_at = (self._ring_at + frames) % self._ring.shape[1]
        return self.dry

    def _fail(self, reason: str, frames: int) -> None:
        self.failed = reason
        for out in self.outs:
            out[:, :frames] = 0.0
        self._health.rest_at(0.0)
        self._mending = False
        self._hold()

    def _hold(self) -> None:
        """From here the sound slides over from the last sample, in 10 ms."""
        for held, last in zip(self._held, self._last, strict=True):
            held[:] = last
        self._tail_left = self._tail

    def _mix(self, dry: Samples | None, frames: int) -> None:
        bypass, mute, wet, health = self._gains
        moving = False
        for cell in self.active:
            if cell in self._gains:
                moving = True
        if not moving and wet.target == 1.0 and bypass.target == 0.0 and health.target == 1.0:
            pass
        elif dry is not None:
            out, curve = self.outs[0], self._curve
            np.subtract(1.0, bypass.full, out=curve)
            np.multiply(curve, wet.full, out=curve)
            np.multiply(curve, health.full, out=curve)
            dsp.mix_wet(out, dry, curve, frames)
            for other in self.outs[1:]:
                dsp.scale(other, curve, frames)
        else:
            # no dry path (a source): bypass and failure are silence, wet a level
            np.subtract(1.0, bypass.full, out=self._curve)
            np.multiply(self._curve, wet.full, out=self._curve)
            np.multiply(self._curve, health.full, out=self._curve)
            self._scale(self._curve, frames)
        if moving or mute.target != 0.0:
            np.subtract(1.0, mute.full, out=self._curve)
            self._scale(self._curve, frames)
        if self._tail_left:
            self._slide(frames)

    def _scale(self, curve: Samples, frames: int) -> None:
        for out in self.outs:
            dsp.scale(out, curve, frames)

    def _slide(self, frames: int) -> None:
        """After a failure or a reset: from the last sample there was to what there is now."""
        done, count = self._tail - self._tail_left, min(frames, self._tail_left)
        rise = self._rise[done : done + count]
        for held, out in zip(self._held, self.outs, strict=True):
            part = out[:, :count]
            part *= rise
            part += held[:, None] * (1.0 - rise)
        self._tail_left -= count

    def _open(self, frames: int) -> None:
        """After a reset: silence for the node's latency, then what comes out amid a wave, over 10 ms."""
        silent = min(frames, self._until)
        done, count = self._tail - self._opening, min(frames - silent, self._opening)
        curve = self._curve
        curve[:silent] = 0.0
        curve[silent : silent + count] = self._rise[done : done + count]
        curve[silent + count :] = 1.0
        self._scale(curve, frames)
        self._until -= silent
        self._opening -= count

    def _guarded_reset(self) -> bool:
        """False when it raised: the node fails in its next block, or goes on having failed."""
        try:
            self.processor.reset()
        except Exception as error:
            self.forced = f"reset raised {type(error).__name__}: {error}"[:200]
            return False
        return True
