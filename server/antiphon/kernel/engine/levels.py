"""Master input and output, which belong to no patch: their levels, fades, channels and limiter; a looping input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec, missed_fade_out
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.graph.graph import OUT, Graph
from antiphon.kernel.graph.io_nodes import ENDS, IN_NUMBER, OUT_NUMBER, SILENCE
from antiphon.kernel.graph.names import BUSES, CUE
from antiphon.kernel.graph.node_host import cell_of
from antiphon.kernel.graph.plan import BusSignals
from antiphon.native import dsp
from antiphon.native.compiling import kernel
from antiphon.native.dsp import guard, limit, release_decay_factor
from antiphon.native.intrinsics import address_f32, address_f64, address_i64, f64_bits, offset
from antiphon.native.kernel import Audio, address, f32p, f64, i64, i64p, sound

_NEPER = math.log(10.0) / 20.0
_OPEN = SILENCE + 1.0


@kernel
def levels_apply(x: Audio, bypass: f32p, mute: f32p, wet: f32p, gain: f32p, frames: i64) -> None:
    """x ← x at `gain` dB, bypass, mute and wet (0 to 1 a frame); linear to zero in the last dB above `SILENCE`."""
    for n in range(frames):
        level = f64(gain[n])
        g = math.exp(_NEPER * level)
        g = g * (level - SILENCE) if level < _OPEN else g
        g = 0.0 if level <= SILENCE else g
        share = (1.0 - f64(bypass[n])) * f64(wet[n])
        g = (1.0 + (g - 1.0) * share) * (1.0 - f64(mute[n]))
        for c in range(x.channels):
            x[c, n] = x[c, n] * g


class MasterLevel:
    """Level stage of `in` or `out`. It takes parameters as a node does, and cannot fail."""

    failed = forced = ""

    def __init__(self, info: ProcessorInfo, spec: StreamSpec) -> None:
        self.cells = tuple(cell_of(param, spec, param.default) for param in info.cells)
        self._bypass, self._mute, self._wet, self._gain = self.cells
        self._active: list[ParamCell] = []

    def post(self, cell: int, offset: int, number: float, ramp: float) -> bool:
        """Changes a parameter at a frame of the next block, in a ramp of seconds; False where the cell is full."""
        target = self.cells[cell]
        if target not in self._active:
            self._active.append(target)
        return target.post(offset, number, ramp)

    def reset(self) -> None:
        """No operation: a level has no state."""

    def resume(self, states: list[tuple[float, float, int, int]]) -> None:
        """Restores the cells from their saved states, in the order of `cells`."""
        for cell, state in zip(self.cells, states, strict=True):
            cell.resume(state)
        self._active = list(self.cells)

    @property
    def rests(self) -> bool:
        """True at unity gain with no parameter change pending."""
        return not self._active and self._gain.target == 0.0 and self._mute.target == 0.0

    def run(self, x: Samples, sample: int, frames: int) -> None:
        """Applies the level to `[channels, frames]` in place, from `sample` on; at 0 dB and at rest it does nothing."""
        if self.rests:
            return
        for cell in self._active:
            cell.render(sample, frames)
        levels_apply(x, self._bypass.full, self._mute.full, self._wet.full, self._gain.full, frames)
        if self._active:
            self._active = [cell for cell in self._active if cell.settle(sample + frames)]


class Levels:
    """Level stages of input and output, unchanged by plan changes. `ends`: both by node number."""

    def __init__(self, spec: StreamSpec) -> None:
        self.ends = {number: MasterLevel(info, spec) for number, info in ENDS.values()}
        self._into, self._out = self.ends[IN_NUMBER], self.ends[OUT_NUMBER]
        self.into, self.out = self.ends[IN_NUMBER].run, self.ends[OUT_NUMBER].run

    @property
    def rests(self) -> bool:
        """True if both stages rest."""
        return self._into.rests and self._out.rests

    def state(self) -> dict[str, Any]:
        """State of each end's cells, by node number as a string."""
        return {str(number): [cell.state() for cell in end.cells] for number, end in self.ends.items()}

    def resume(self, cells: dict[str, Any]) -> None:
        """Restores what `state` returned; an end that is missing in `cells` stays as it is."""
        for number, end in self.ends.items():
            if str(number) in cells:
                end.resume([tuple(held) for held in cells[str(number)]])


FADE_IN_SECONDS = 0.010
"""Seconds of the fade-in."""
FADE_OUT_SECONDS = 0.020
"""Seconds of the fade-out before the device is closed."""


_NO_ROWS: Samples = np.zeros((0, 1), np.float32)


class OutputFades:
    """Fade-in at an engine's first plan, after missed blocks and a panic; fade-out once, at the end.

    The input fades in at once, so that its first frame makes no step in an echo either. The output fades in `wait`
    frames later, after the plan's latency: a source without an input behind a delay line begins only then. `wait`:
    frames of silence before the output's fade-in.

    After missed blocks the input is also faded out, by `missed_fade_out`, from its last frame before them, or the
    sound behind a delay line would be cut off.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rise, self._fall = max(1, round(FADE_IN_SECONDS * spec.rate)), max(1, round(FADE_OUT_SECONDS * spec.rate))
        self._lead = -self._fall % spec.block
        self._steps = np.arange(1, spec.block + 1, dtype=np.float32)
        self._curve, self._cube = np.zeros((2, spec.block), np.float32)
        self.rising = self.wait = 0  # frames until the output has its full level; 0 when no fade-in is under way
        self._falling = -1
        self._fall_in, self._cut = missed_fade_out(spec.block, spec.rate), False
        self._last: Samples = np.zeros((spec.channels, 1), np.float32)
        self._part: Samples = np.zeros((spec.channels, self._fall_in.size), np.float32)

    def cut(self, x: Samples) -> None:
        """Fades the input out from the last frame of `x`, the block `[channels, frames]` before missed ones."""
        self._last[:] = x[:, -1:]
        self._cut = True

    def rise(self, wait: int = 0) -> None:
        """Starts a fade-in with the next block. `wait` is the plan's latency in frames."""
        self.rising, self.wait = wait + self._rise, wait

    def restart_fade_in(self) -> None:
        """Starts a fade-in of the output after a block that was computed and not played.

        The input continued, and a cut in it would be audible behind a delay line; so it gets no new fade.
        """
        if self.rising > self.wait:  # the input's fade-in is under way
            self.rise(self.wait)
        else:
            self.wait = self.rising = max(self.rising, self._rise)

    def fall(self) -> None:
        """Starts the fade-out with the next block; it reaches silence with the last frame of a block."""
        if self._falling < 0:
            self._falling = self._lead + self._fall

    def stay(self) -> None:
        """Cancels the fade-out."""
        self._falling = -1

    @property
    def has_ended(self) -> bool:
        """True once the fade-out has ended; the output is silent from here."""
        return self._falling == 0

    @property
    def rests(self) -> bool:
        """True while no fade is active."""
        return not self.rising and self._falling < 0

    def into(self, x: Samples, frames: int) -> None:
        """Applies the fade-in to a block of input `[channels, frames]`, in place."""
        elapsed = self.wait + self._rise - self.rising
        if self.rising and elapsed < self._rise:
            self._apply_rise(x, elapsed, frames)
        if self._cut:
            falls = min(frames, self._fall_in.size)
            part = np.multiply(self._last, self._fall_in[:falls], out=self._part[:, :falls])
            np.add(x[:, :falls], part, out=x[:, :falls])
            self._cut = False

    def apply_output(self, x: Samples, strips: Samples, frames: int) -> None:
        """Applies both fades to a block of output and strips, `[channels, frames]`; once a block, after `into`."""
        if self.rising:
            self._apply_rise(x, self._rise - self.rising, frames, strips)
            self.rising = max(0, self.rising - frames)
        if self._falling >= 0:
            curve = np.subtract(self._falling, self._steps[:frames], out=self._curve[:frames])
            self._scale(x, np.divide(curve, self._fall, out=curve), strips)
            self._falling = max(0, self._falling - frames)

    def _apply_rise(self, x: Samples, elapsed: int, frames: int, more: Samples = _NO_ROWS) -> None:
        """Scales `x` by the fade-in. `elapsed` is frames since its start; negative before it."""
        curve = np.add(self._steps[:frames], elapsed, out=self._curve[:frames])
        self._scale(x, np.divide(curve, self._rise, out=curve), more)

    def _scale(self, x: Samples, line: Samples, more: Samples = _NO_ROWS) -> None:
        """Scales by 3c² - 2c³ of a line c from 0 to 1: a fade with a corner at either end is audible as a tick."""
        np.minimum(np.maximum(line, 0.0, out=line), 1.0, out=line)
        square = np.multiply(line, line, out=self._cube[: line.size])
        np.subtract(3.0, np.multiply(line, 2.0, out=line), out=line)
        dsp.scale(x, np.multiply(square, line, out=line), line.size)
        if len(more):
            dsp.scale(more, line, line.size)


FIRST = "1-2"
"""Name of the main pair, `OUT` itself."""


class BusWord(IntEnum):
    """Indices of the words of an `OutputBuses`."""

    CHANNELS = 0  # of the output
    BLOCK = 1
    OUT = 2  # address of all channels
    REDUCTIONS = 3  # address of a float64 for the output and each bus
    FALL = 4  # a float
    COUNTS = 5  # address of the counts of `dsp.guard`
    SOURCE = 6  # address and stride of what the output is copied from
    STRIDE = 7
    COUNT = 8
    PAIRS = 9  # place, address and stride of each bus with a signal
    SIZE = 9 + 3 * len(BUSES)


@kernel
def copy_rows(x: f32p, stride: i64, y: f32p, to: i64, count: i64, frames: i64) -> None:
    """Copies `count` channels, `stride` frames apart in x and `to` in y."""
    for c in range(count):
        for n in range(frames):
            y[c * to + n] = x[c * stride + n]


@kernel
def take_buses(w: i64p, frames: i64) -> None:
    """Copies a block of the output and of the buses with a signal. `w`: `BusWord`."""
    out = address_f32(w[BusWord.OUT])
    copy_rows(address_f32(w[BusWord.SOURCE]), w[BusWord.STRIDE], out, w[BusWord.BLOCK], w[BusWord.CHANNELS], frames)
    for n in range(w[BusWord.COUNT]):
        bus = offset(w, BusWord.PAIRS + 3 * n)
        into = offset(out, (w[BusWord.CHANNELS] + 2 * bus[0]) * w[BusWord.BLOCK])
        copy_rows(address_f32(bus[1]), bus[2], into, w[BusWord.BLOCK], 2, frames)


@kernel
def guard_buses(w: i64p, frames: i64) -> None:
    """Limits the output and each bus to full scale: one with NaN becomes silence. `w`: `BusWord`."""
    out = address_f32(w[BusWord.OUT])
    reductions = address_f64(w[BusWord.REDUCTIONS])
    fall = f64_bits(w[BusWord.FALL])
    guard(out, w[BusWord.BLOCK], reductions, fall, w[BusWord.CHANNELS], frames, address_i64(w[BusWord.COUNTS]))
    for n in range(w[BusWord.COUNT]):
        bus = offset(w, BusWord.PAIRS + 3 * n)
        into = offset(out, (w[BusWord.CHANNELS] + 2 * bus[0]) * w[BusWord.BLOCK])
        limit(into, w[BusWord.BLOCK], offset(reductions, 1 + bus[0]), fall, 2, frames)


class OutputBuses:
    """Output channels of one player, and the level that each is limited to.

    `channels`: float32 `[spec.channels + 2 * len(BUSES), block]`: the output, then the buses in their order. `words`:
    their addresses, for machine code (`BusWord`). `source`: the array that the output is copied from.
    """

    def __init__(self, spec: StreamSpec, counts: NDArray[np.int64]) -> None:
        """Starts silent. `counts`: the counters of `dsp.guard`."""
        self.channels: Samples = np.zeros((spec.channels + 2 * len(BUSES), spec.block), np.float32)
        self._buses = self.channels[spec.channels :]
        self.sounding: BusSignals = ()
        self.source: Samples | None = None
        self.reductions = np.zeros(1 + len(BUSES), np.float64)
        self.words = np.zeros(BusWord.SIZE, np.int64)
        self._words: memoryview[int] = memoryview(self.words)  # type: ignore[arg-type]
        self._words[BusWord.CHANNELS], self._words[BusWord.BLOCK] = spec.channels, spec.block
        self._words[BusWord.OUT], self._words[BusWord.COUNTS] = address(self.channels), address(counts)
        self._words[BusWord.REDUCTIONS] = address(self.reductions)
        self.words.view(np.float64)[BusWord.FALL] = release_decay_factor(spec.rate)
        self._at = address(self.words)

    def take(self, source: Samples, sounding: BusSignals, frames: int) -> None:
        """Copies a block of the output and of the buses with a signal; the others are silent."""
        words = self._words
        if sounding is not self.sounding:
            self._buses.fill(0.0)
            words[BusWord.COUNT], self.sounding = len(sounding), sounding
            for n, (place, bus) in enumerate(sounding):
                at = BusWord.PAIRS + 3 * n
                words[at], (words[at + 1], words[at + 2]) = place, sound(bus)[:2]
        if source is not self.source:
            self.source, (words[BusWord.SOURCE], words[BusWord.STRIDE]) = source, sound(source)[:2]
        take_buses.call(self._at, frames)

    def guard(self, frames: int) -> None:
        """Limits the output and each bus to full scale."""
        guard_buses.call(self._at, frames)


class ChosenPairs:
    """Gathers the channels of a device, or of a file, from those of a player.

    `rows`: the player's channel for each gathered one, int64.
    """

    def __init__(self, pairs: Sequence[str], spec: StreamSpec) -> None:
        """`pairs`: `FIRST`, or a name of `BUSES`, for each two channels."""
        first = [-2 if pair == FIRST else BUSES.index(pair) * 2 for pair in pairs]
        self.rows = np.array([spec.channels + place + side for place in first for side in (0, 1)], np.int64)
        self._gathered = np.zeros((len(self.rows), spec.block), np.float32)

    def gather(self, buses: OutputBuses) -> Samples:
        """Selected pairs of the last block, float32 `[2 * pairs, block]`, valid until the next call."""
        return np.take(buses.channels, self.rows, axis=0, out=self._gathered, mode="clip")


def pairs_of(graph: Graph, cue: str = "") -> tuple[str, ...]:
    """Pairs of a file: up to the last one that a wire of the graph names. `cue`: the pair that plays the cue."""
    used = [BUSES.index(wire.dest.port) for wire in graph.wires if wire.dest.node == OUT and wire.dest.port in BUSES]
    return device_pairs(max((2 * n + 4 for n in used if BUSES[n] != CUE), default=2), cue)


def device_pairs(channels: int, cue: str = "") -> tuple[str, ...]:
    """Pairs that a device of `channels` channels plays, extended to pair `cue`, in which the cue replaces the bus."""
    pairs = (FIRST, *BUSES[: max(channels, BUSES.index(cue) * 2 + 4 if cue else 2) // 2 - 1])
    return tuple(CUE if pair == cue else pair for pair in pairs)


def loop_sound(samples: Samples, channels: int) -> Samples:
    """Returns the part of float32 `[channels, frames]` that a loop plays, stored once where all rows are equal."""
    used = samples[:channels]
    missing = used.shape[0] < channels and used.shape[0] > 1
    return used[:1].copy() if not missing and (used == used[0]).all() else used


def fit_channel_count(samples: Samples, channels: int) -> Samples:
    """Returns a sound for that many channels. Mono fills all, sharing its memory; else missing ones are silent."""
    held, length = samples.shape
    if 1 < held < channels:
        samples = np.concatenate([samples, np.zeros((channels - held, length), np.float32)])
    return np.broadcast_to(np.ascontiguousarray(samples[:channels], np.float32), (channels, length))
