"""Adapts processors that require a rate, a block size or a number of channels of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import ParamCell, value_after_steps
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.ports import Port
from antiphon.kernel.contract.processor import IO, BlockTime, Processor, ProcessorPart
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import PluginError
from antiphon.native.resample import convert, hold, push, resample, sinc_table

# ---- Parameter cells across two rates: those of an inner processor follow the outer stream's

MAX_WAITING = 4096
"""Most queued changes of one parameter, or events, for later inner blocks; more are merged or dropped."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks that begin at 0, with rates of inner / outer = `up` / `down` in lowest terms."""

    up: int = 1
    down: int = 1

    @staticmethod
    def of(outer: int, inner: int) -> Clocks:
        """The clocks of two rates in Hz."""
        common = math.gcd(outer, inner)
        return Clocks(inner // common, outer // common)

    def inner(self, frame: int) -> int:
        """The first inner sample at or after an outer frame."""
        return -(-frame * self.up // self.down)

    def outer(self, sample: int) -> int:
        """The first outer frame at or after an inner sample."""
        return -(-sample * self.down // self.up)


class ParameterFollower(ParamCell):
    """Parameter cell at the inner rate: at each inner sample it has the value of the outer cell at that time."""

    __slots__ = (
        "_changes",
        "_clocks",
        "_current",
        "_flat",
        "_moved",
        "_moving",
        "_ring",
        "_seen",
        "_span",
        "_triggers",
    )

    def __init__(self, param: Param, rate: int, block: int, value: Value, clocks: Clocks, span: int) -> None:
        """Starts at rest. `rate` (Hz) and `block`: the inner ones; `span`: most outer frames pending."""
        super().__init__(param, rate, block, None if param.kind == "trigger" else value)
        self._clocks, self._span = clocks, span
        self._ring = np.zeros(2 * span, np.float32)
        self._changes: list[tuple[int, float]] = []
        self._triggers: list[int] = []
        self._seen = self._current = self.steps[0][1]
        self._moving, self._flat, self._moved = False, True, 0

    def restart(self) -> None:
        """Sets both clocks to 0; the value stays."""
        self._changes.clear()
        self._triggers.clear()
        self._current = self._seen
        self._moving, self._flat, self._moved = False, False, 0

    def follow(self, cell: ParamCell, base: int, frames: int, first: int) -> None:
        """Reads the outer cell. `base`: frame of its block to begin at. `first`: the outer clock's frame at `base`."""
        kind = self.param.kind
        if kind in ("text", "file"):
            self.text = cell.text
            return
        if kind == "trigger":
            for offset in cell.fired:
                if base <= offset < base + frames and len(self._triggers) < MAX_WAITING:
                    self._triggers.append(self._clocks.inner(first + offset - base))
            return
        full, seen = cell.full, np.float32(self._seen)
        resting = len(cell.steps) == 1 and bool(full[base] == seen and full[base + frames - 1] == seen)
        if resting and not self._moving:
            return
        if resting and first - self._moved >= self._span:
            self._moving = self._flat = False
            return
        if not self._moving:
            self._ring.fill(seen)
            self._moving = True
        part = full[base : base + frames]
        push(part, 0, 1, self._ring, self._span, first, 1, frames)
        if resting:
            return
        self._moved = first + frames
        begins = cell.number_at(base)
        if kind != "float" and begins != self._seen:
            self._change(first, begins)
        for offset, number in cell.steps[1:]:
            if base <= offset < base + frames:
                self._change(first + offset - base, number)
        self._seen = cell.number_at(base + frames - 1)

    def render_from(self, first: int, count: int) -> None:
        """Renders `count` inner samples from sample `first` on."""
        if self.param.kind == "trigger":
            self.fired.clear()
            while self._triggers and self._triggers[0] < first + count:
                self.fired.append(self._triggers.pop(0) - first)
            return
        if self.param.kind in ("text", "file"):
            return
        if self._moving:
            hold(self._ring, self._span, self.full, self._clocks.up, self._clocks.down, first, count)
        elif not self._flat:
            self.full.fill(self._seen)
            self._flat, self._current = True, self._seen
        self.steps.clear()
        self.steps.append((0, self._current))
        while self._changes and self._changes[0][0] < first + count:
            sample, self._current = self._changes.pop(0)
            if sample <= first:
                self.steps[0] = (0, self._current)
            else:
                self.steps.append((sample - first, self._current))

    def number_at(self, offset: int) -> float:
        if self.param.kind == "float" and self._moving:
            return float(self.full[offset])
        return value_after_steps(self.steps, offset)

    def _change(self, frame: int, number: float) -> None:
        change = (self._clocks.inner(frame), number)
        if len(self._changes) < MAX_WAITING:
            self._changes.append(change)
        else:
            self._changes[-1] = change


STOP_DB = 86.0
"""Stopband attenuation of the filter design in dB; 80 dB is reached."""
PASS, STOP = 0.45, 0.55
"""Edges of the filters' transition band, as shares of the lower of the two rates."""
LOWEST, HIGHEST = 1000, 768000
MAX_BLOCK = 1 << 20
MAX_CHANNELS = 64


def adapt(processor: Processor, spec: StreamSpec) -> Processor:
    """Adapts a processor to a stream.

    Returns the processor itself when it takes any stream, else a `RateAdapter` around it. Raises PluginError: the rate,
    block size or number of channels that it requires is out of range.
    """
    rate, block, channels = processor.rate, processor.block, processor.channels
    for what, number, low, high in (
        ("rate", rate, LOWEST, HIGHEST),
        ("block", block, 1, MAX_BLOCK),
        ("channels", channels, 1, MAX_CHANNELS),
    ):
        if number is not None and (not isinstance(number, int) or not low <= number <= high):
            raise PluginError(f"it insists on {what} {number!r}; {low} to {high} is allowed")
    if block is None and rate in (None, spec.rate) and channels in (None, spec.channels):
        return processor
    declared = {name: getattr(processor, name) for name in ("inputs", "outputs", "params", "holds", "compensates")}
    kind: type[RateAdapter] = type(f"Adapted{type(processor).__name__}", (RateAdapter,), declared)
    return kind(processor)


class RateFilter(NamedTuple):
    """A polyphase filter: half its length in input frames, and its taps, float32 `[places, 2 * half]`."""

    half: int
    taps: Samples


class RateAdapter(Processor):
    """Host of a processor in a stream of another rate, block size or number of channels.

    Block: the processor always gets exactly the number of frames that it requires. This adds `block` - 1 frames of
    latency, the least that is possible for a stream that may come frame by frame.

    Rate: windowed-sinc polyphase filters both ways, flat to 0.45 of the lower rate; between 0.45 and 0.55 of it there
    is aliasing. Their latency is a whole number of the stream's frames.

    Channels: the processor runs once. Ports without a fixed channel count are adapted like wires: mono goes to all
    channels, all are averaged to mono, else surplus channels are dropped.

    A parameter's change, a trigger or an event takes effect at its frame of the sound, and emitted events come out with
    theirs. `time` is the engine's at the inner block's first frame. A processor that asks for split blocks gets them,
    unless it requires a block size.
    """

    def __init__(self, inner: Processor) -> None:
        super().__init__()
        self.inner = inner
        self.settings = inner.settings
        self.dropped = 0  # events that exceeded `MAX_WAITING`

    @property
    def parts(self) -> tuple[ProcessorPart, ...]:
        """The parts of the inner processor."""
        return self.inner.parts

    @parts.setter
    def parts(self, parts: tuple[ProcessorPart, ...]) -> None:
        self.inner.parts = parts

    def prepare(self, spec: StreamSpec) -> None:
        inner = self.inner
        rate, channels = inner.rate or spec.rate, inner.channels or spec.channels
        clocks = Clocks.of(spec.rate, rate)
        up, down = clocks.up, clocks.down
        size = inner.block or -(-spec.block * up // down) + 1
        inner.node = self.node
        self._runner = ProcessorRunner(inner, spec.rate, self._elapsed_frames)
        self._runner.prepare(StreamSpec(rate, size, channels, -(-spec.feedback * up // down)))
        own = inner.latency
        self._spec, self._clocks, self._own = spec, clocks, own
        filter_in, filter_out = _filter(spec.rate, rate, up), _filter(rate, spec.rate, down)
        self._half, half_out = filter_in.half, filter_out.half
        waits = ((inner.block or 1) - 1) * down
        # counted to the first frame at whose end all inner samples that the output filter reads have been run
        self.latency = -(-((own + half_out) * down + self._half * up - 1 + waits - up) // up)
        span = spec.block + 2 * self._half + -(-size * down // up) + 8
        span_out = -(-(spec.block + self.latency) * up // down) + 2 * half_out + size + 8
        shift = own * down - self.latency * up
        self._ins = [
            _AudioInput(port.channels or spec.channels, port.channels or channels, size, span, filter_in, clocks)
            for port in _audio_ports(inner.inputs)
        ]
        self._outs = [
            _AudioOutput((port.channels or channels, port.channels or spec.channels), (size, spec.block), span_out,
                 filter_out, clocks, shift)
            for port in _audio_ports(inner.outputs)
        ]  # fmt: skip
        self._followers = [ParameterFollower(p, rate, size, self.settings[p.name], clocks, span) for p in inner.params]
        self._steppers = [f for f in self._followers if f.param.kind not in ("trigger", "text", "file")]
        self._io = IO((), (), {f.param.name: f for f in self._followers}, BlockTime())
        self._whole_in, self._whole_out = [x.block for x in self._ins], [y.block for y in self._outs]
        self._size = size
        self._frames = self._done = 0
        self._events_in: list[tuple[int, Event]] = []
        self._events_out: list[tuple[int, Event]] = []

    def reset(self) -> None:
        self.inner.reset()
        for into in self._ins:
            into.clear()
        for back in self._outs:
            back.clear()
        for follower in self._followers:
            follower.restart()
        self._frames = self._done = 0
        self._events_in.clear()
        self._events_out.clear()

    def save_state(self) -> Mapping[str, Any]:
        return self.inner.save_state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state(state)

    def close(self) -> None:
        self.inner.close()

    def process(self, io: IO) -> None:
        frames, first = io.frames, self._frames
        end = first + frames
        for ring, x in zip(self._ins, io.audio_in, strict=True):
            ring.push(x, first, frames)
        for follower in self._followers:
            follower.follow(io.cells[follower.param.name], io.base, frames, first)
        for event in io.events_in:
            if len(self._events_in) < MAX_WAITING:
                self._events_in.append((self._clocks.inner(first + event.offset), event))
            else:
                self.dropped += 1
        ready = max(0, (end - self._half) * self._clocks.up // self._clocks.down + 1)
        while self._done < ready:
            count = min(self._size, ready - self._done)
            if self.inner.block is not None and count < self._size:
                break
            self._run(io, count)
        for back, y in zip(self._outs, io.audio_out, strict=True):
            back.pull(y, first, frames)
        while self._events_out and self._events_out[0][0] < end:
            at, event = self._events_out.pop(0)
            io.emit(event.moved(at - first - event.offset))
        self._frames = end

    def _run(self, outer: IO, count: int) -> None:
        """Runs the processor for `count` frames."""
        first, io = self._done, self._io
        for ring in self._ins:
            ring.give(first, count)
        for follower in self._followers:
            follower.render_from(first, count)
        io.asset, io.reports, io.marks, io.steering = outer.asset, outer.reports, outer.marks, outer.steering
        time, now = io.time, outer.time
        time.sample, time.beat, time.tempo, time.playing = now.sample, now.beat, now.tempo, now.playing
        time.latency = now.latency * self._clocks.up // self._clocks.down
        whole = count == self._size
        io.audio_in = self._whole_in if whole else [x[:, :count] for x in self._whole_in]
        io.audio_out = list(self._whole_out) if whole else [y[:, :count] for y in self._whole_out]
        io.base, io.frames = 0, count
        io.events_in.clear()
        io.events_out.clear()
        while self._events_in and self._events_in[0][0] < first + count:
            when, event = self._events_in.pop(0)
            io.events_in.append(event.moved(when - first - event.offset))
        reason = self._runner.run(io, self._steppers if self.inner.block is None else ())
        if reason:
            raise PluginError(reason)
        self._queue_emitted(first)
        for back in self._outs:
            back.take(first, count)
        self._done = first + count

    def _elapsed_frames(self, frame: int) -> int:
        """Frames of the stream from the start of its block to a frame of the inner block."""
        return (self._done + frame) * self._clocks.down // self._clocks.up - self._frames

    def _queue_emitted(self, first: int) -> None:
        """Queues emitted events for the frame at which their sound comes out."""
        for event in self._io.events_out:
            if len(self._events_out) < MAX_WAITING:
                self._events_out.append((self._clocks.outer(first + event.offset - self._own) + self.latency, event))
            else:
                self.dropped += 1
        if self._io.events_out:
            self._events_out.sort(key=_time)


class _AudioInput:
    def __init__(self, have: int, want: int, size: int, span: int, lowpass: RateFilter, clocks: Clocks) -> None:
        self._ring = np.zeros((want, 2 * span), np.float32)
        self._have, self._want, self._span = have, want, span
        self._lowpass, self._clocks = lowpass, clocks
        self._into: Samples = np.zeros((want, size), np.float32)
        self.block = self._into.view()
        self.block.flags.writeable = False

    def push(self, x: Samples, first: int, frames: int) -> None:
        push(x, x.strides[0] // 4, self._have, self._ring, self._span, first, self._want, frames)

    def give(self, first: int, count: int) -> None:
        up, down, row, (half, taps) = self._clocks.up, self._clocks.down, self._into.shape[1], self._lowpass
        resample(self._ring, self._span, self._into, row, taps, half, up, down, 0, first, self._want, count)

    def clear(self) -> None:
        self._ring.fill(0.0)


class _AudioOutput:
    """One audio output: resamples the inner sound to the stream's rate, delayed by `latency`.

    `channels`, `sizes`: channels and maximum frames of a block, of the inner sound and of the stream.
    """

    def __init__(
        self, channels: tuple[int, int], sizes: tuple[int, int], span: int, lowpass: RateFilter, clocks: Clocks,
        shift: int,
    ) -> None:  # fmt: skip
        (have, self._want), (size, frames) = channels, sizes
        self._ring = np.zeros((have, 2 * span), np.float32)
        self._have, self._span, self._lowpass, self._clocks, self._shift = have, span, lowpass, clocks, shift
        self.block: Samples = np.zeros((have, size), np.float32)
        self._read: Samples = np.zeros((have, frames), np.float32)

    def take(self, first: int, count: int) -> None:
        push(self.block, self.block.shape[1], self._have, self._ring, self._span, first, self._have, count)

    def pull(self, y: Samples, first: int, frames: int) -> None:
        into = y if self._have == self._want else self._read
        up, down, row, (half, taps) = self._clocks.up, self._clocks.down, into.strides[0] // 4, self._lowpass
        resample(self._ring, self._span, into, row, taps, half, down, up, self._shift, first, self._have, frames)
        if into is not y:
            convert(into, into.shape[1], self._have, y, y.strides[0] // 4, self._want, frames)

    def clear(self) -> None:
        self._ring.fill(0.0)


@lru_cache(maxsize=16)
def _filter(source: int, target: int, places: int) -> RateFilter:
    """Designs a windowed-sinc polyphase filter with a Kaiser window. `places`: positions between two input frames."""
    if source == target:
        return RateFilter(1, np.array([[1.0, 0.0]], np.float32))
    lower = min(source, target)
    length = (STOP_DB - 7.95) / (2.285 * 2.0 * math.pi * (STOP - PASS))
    half = math.ceil(length / 2.0 * source / lower)
    beta = 0.1102 * (STOP_DB - 8.7)
    cutoff = lower / source
    return RateFilter(half, sinc_table(np.arange(places) / places, half, cutoff, beta))


def _audio_ports(ports: tuple[Port, ...]) -> list[Port]:
    return [port for port in ports if port.signal]


def _time(waiting: tuple[int, Event]) -> int:
    return waiting[0]
