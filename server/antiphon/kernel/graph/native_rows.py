"""The loop over the nodes of a plan in machine code, and the tables it reads.

Goal: a block of many nodes is one call, whose cost does not depend on the interpreter. A row is one node: kernel calls
with packed arguments, its outputs, and the node version it was packed for.

Plan: for each row the loop compares versions and calls the step's conditions, runs wires, modulation and the
processor's own kernels, checks the outputs, measures the time, and mixes wet and dry. If a version differs, a condition
is 0, an output holds NaN or infinity, or a node overran the block, it calls the interpreter back for that row.

Warning: all addresses are of arrays that `native_plan` keeps alive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from antiphon.kernel.contract.parameter_cell import LineUse, LineWord, render_line, set_line
from antiphon.kernel.graph.node_host import LOAD_SHARE
from antiphon.kernel.runtime.platform import MONOTONIC
from antiphon.native.call_back import RAISED, call_python
from antiphon.native.compiling import kernel
from antiphon.native.dsp import finite, peak
from antiphon.native.intrinsics import address_f32, address_f64, address_i64, call_c, f64_bits, offset
from antiphon.native.kernel import Step, address, f32, f32p, f64, i64, i64p


class PlanWord(IntEnum):
    """Indices of the 64-bit words that the interpreter and the machine code share."""

    CALL_BACK = 0  # the address of the interpreter's function, called with a `Stop` and the index of a row
    ROWS = 1
    PERIOD = 2  # nanoseconds after which a node is late
    SPENT = 3  # nanoseconds of the node that was late
    CLOCK = 4  # the address of clock_gettime
    NOW = 5  # and 6: struct timespec
    AT_WORK = 7  # the address of the word that gets the number of the node at work
    TOUCHED = 8  # why the interpreter was called since the word was cleared, bits of `Touch`
    TIMES = 9  # how many places of the block's time there are
    SAMPLE = 10
    BEAT = 11  # a float, as TEMPO
    TEMPO = 12
    PLAYING = 13
    STEP = 14  # beats a frame, 0 while the clock stands
    LENGTH = 15  # frames a beat
    BLOCK = 16  # frames of a block
    BLOCK_NS = 17  # its duration, a float
    NODES = 18  # addresses: of `NodeRow` of each node,
    CALLS = 19  # of address of a function and of its arguments, of each call,
    OUTS = 20  # of address, stride and channels of each output,
    MOMENTS = 21  # of the index of a word of the block's time, and the address it is copied to,
    OPENING = 22  # and of the calls before the nodes, and after them, with their numbers
    OPENING_COUNT = 23
    CLOSING = 24
    CLOSING_COUNT = 25
    CELLS = 26  # address of the line, the curve and the `CellUse`, of each cell
    SIZE = 27


class NodeRow(IntEnum):
    """Indices of the 64-bit words of one node."""

    NUMBER = 0
    HOST = 1  # the address of the node's version and `LineUse`, and of its load
    LOAD = 2
    PACKED = 3  # the version that this row was packed for
    ASKS = 4  # the first call: conditions of the step
    CALLS = 5  # the first call after these: wires, modulation and the processor's own
    AFTER = 6  # the first call of what follows the check of the outputs
    END = 7
    OUTS = 8  # the first output
    OUTS_END = 9
    CELLS = 10  # the first cell
    CELLS_END = 11
    SIZE = 12


class CellUse(IntEnum):
    """Use of a cell: a gain of the host, or a float that the step reads as a curve alone."""

    OTHER, GAIN, CURVE = range(3)


class Stop(IntEnum):
    """Reason why the machine code calls the interpreter for a row."""

    HELD = 1
    BAD = 2
    LATE = 3


@kernel
def monotonic_ns(s: i64p) -> i64:
    """The monotonic clock."""
    call_c(s[PlanWord.CLOCK], MONOTONIC, offset(s, PlanWord.NOW))
    return i64(s[PlanWord.NOW] * 1000000000 + s[PlanWord.NOW + 1])


@kernel
def render_cells(s: i64p, row: i64p) -> i64:
    """Renders the cells that move. Returns 1 if a gain of the host has ended, with which its calls change, else 0."""
    cells = address_i64(s[PlanWord.CELLS])
    ended = 0
    moves = i64(LineUse.ENDED)
    for n in range(row[NodeRow.CELLS], row[NodeRow.CELLS_END]):
        line = address_i64(cells[3 * n])
        if line[LineWord.MOVES] == LineUse.RENDERED:
            full = address_f32(cells[3 * n + 1])
            render_line(full, 0, s[PlanWord.BLOCK], s[PlanWord.SAMPLE], line)
            after = s[PlanWord.SAMPLE] + s[PlanWord.BLOCK]
            moving = after < line[LineWord.START] + line[LineWord.LENGTH]
            if moving or full[0] != f32(f64_bits(line[LineWord.END])):
                moves = i64(LineUse.RENDERED)
            else:
                line[LineWord.MOVES] = i64(LineUse.ENDED)
                ended = 1 if cells[3 * n + 2] == CellUse.GAIN else ended
    version = address_i64(row[NodeRow.HOST])
    version[1] = moves
    return ended


@kernel
def set_cell(s: i64p, record: i64p, first: i64, sample: i64, rate: i64) -> i64:
    """Sets a parameter that machine code renders, at a block's first frame. `record`: a `NodeSet`; `rate`: Hz.

    Returns the node's row, which is looked for from row `first` on, or -1 where the interpreter has to set it.
    """
    rows = s[PlanWord.ROWS]
    for n in range(rows):
        k = first + n if first + n < rows else first + n - rows
        row = offset(address_i64(s[PlanWord.NODES]), k * NodeRow.SIZE)
        if row[NodeRow.NUMBER] == record[4]:
            version = address_i64(row[NodeRow.HOST])
            at = row[NodeRow.CELLS] + record[5]
            if version[0] != row[NodeRow.PACKED] or at < row[NodeRow.CELLS] or at >= row[NodeRow.CELLS_END]:
                return -1
            cell = offset(address_i64(s[PlanWord.CELLS]), 3 * at)
            if cell[2] != CellUse.CURVE:
                return -1
            set_line(address_i64(cell[0]), sample, record[6], f64_bits(record[7]) * f64(rate))
            version[1] = i64(LineUse.RENDERED)
            return k
    return -1


@kernel
def run_rows(s: i64p) -> i64:
    """Runs the nodes in order, or has the interpreter run or end them. Returns 0, or `RAISED` where that raised."""
    rows = address_i64(s[PlanWord.NODES])
    calls = address_i64(s[PlanWord.CALLS])
    outs = address_i64(s[PlanWord.OUTS])
    times = address_i64(s[PlanWord.MOMENTS])
    for n in range(s[PlanWord.TIMES]):
        target = address_i64(times[2 * n + 1])
        target[0] = s[times[2 * n]]
    work = address_i64(s[PlanWord.AT_WORK])
    begun = monotonic_ns(s)
    for k in range(s[PlanWord.ROWS]):
        row = offset(rows, k * NodeRow.SIZE)
        version = address_i64(row[NodeRow.HOST])
        changed = 0
        if version[0] == row[NodeRow.PACKED]:
            if version[1] == LineUse.RENDERED:
                changed = render_cells(s, row)
            for n in range(row[NodeRow.ASKS], row[NodeRow.CALLS]):
                if call_c(calls[2 * n], calls[2 * n + 1]) == 0:
                    version[0] = version[0] + 1
                    break
        if version[0] != row[NodeRow.PACKED]:
            if call_python(s[PlanWord.CALL_BACK], i64(Stop.HELD), k) != 0:
                return RAISED
            begun = monotonic_ns(s)
            continue
        work[0] = row[NodeRow.NUMBER]
        for n in range(row[NodeRow.CALLS], row[NodeRow.AFTER]):
            call_c(calls[2 * n], calls[2 * n + 1])
        bad = 0
        for n in range(row[NodeRow.OUTS], row[NodeRow.OUTS_END]):
            if finite(address_f32(outs[3 * n]), outs[3 * n + 1], outs[3 * n + 2], s[PlanWord.BLOCK]) == 0:
                bad = 1
        ended = monotonic_ns(s)
        spent = ended - begun
        begun = ended
        load = address_f64(row[NodeRow.LOAD])
        load[0] = load[0] + LOAD_SHARE * (f64(spent) / f64_bits(s[PlanWord.BLOCK_NS]) - load[0])
        if bad == 1 or spent > s[PlanWord.PERIOD]:
            s[PlanWord.SPENT] = spent
            if call_python(s[PlanWord.CALL_BACK], i64(Stop.BAD if bad == 1 else Stop.LATE), k) != 0:
                return RAISED
            begun = monotonic_ns(s)
            continue
        for n in range(row[NodeRow.AFTER], row[NodeRow.END]):
            call_c(calls[2 * n], calls[2 * n + 1])
        version[0] = version[0] + changed
    return 0


@kernel
def measure_rows(s: i64p, nodes: i64, meters: f32p) -> None:
    """meters ← number, peak and RMS of the first output (or 0), and load of the first `nodes` nodes."""
    frames = s[PlanWord.BLOCK]
    outs = address_i64(s[PlanWord.OUTS])
    for k in range(nodes):
        row = offset(address_i64(s[PlanWord.NODES]), k * NodeRow.SIZE)
        top = f32(0.0)
        energy = f64(0.0)
        samples = 1
        if row[NodeRow.OUTS] < row[NodeRow.OUTS_END]:
            out = offset(outs, 3 * row[NodeRow.OUTS])
            x = address_f32(out[0])
            samples = frames * out[2]
            top = max(top, peak(x, out[1], out[2], frames))
            for c in range(out[2]):
                for n in range(frames):
                    v = f64(x[c * out[1] + n])
                    energy = energy + v * v
        load = address_f64(row[NodeRow.LOAD])
        meters[4 * k] = f32(row[NodeRow.NUMBER])
        meters[4 * k + 1] = top
        meters[4 * k + 2] = f32(math.sqrt(energy / f64(samples)))
        meters[4 * k + 3] = f32(load[0])


@kernel
def run_calls(calls: i64p, count: i64) -> None:
    """Runs packed calls in order. `calls`: for each call, the addresses of a function and of its arguments."""
    for n in range(count):
        call_c(calls[2 * n], calls[2 * n + 1])


@kernel
def run_plan(s: i64p) -> i64:
    """Runs a plan for a block. Returns what `run_rows` returns."""
    run_calls(address_i64(s[PlanWord.OPENING]), s[PlanWord.OPENING_COUNT])
    raised = run_rows(s)
    if raised == 0:
        run_calls(address_i64(s[PlanWord.CLOSING]), s[PlanWord.CLOSING_COUNT])
    return raised


class PackedCalls:
    """The calls of steps, in order. Built off the block path."""

    def __init__(self, steps: Iterable[Step]) -> None:
        """Packs the calls, and keeps their arrays."""
        self._calls = [call for step in steps for call in step.calls]
        self.count = len(self._calls)
        words = np.zeros(max(1, sum(item.size for item, _ in self._calls)), np.int64)
        table = np.zeros((max(1, self.count), 2), np.int64)
        at = 0
        for row, (item, args) in zip(table, self._calls, strict=False):
            item.pack(args, words.data, at)
            row[:] = item.packed_address, address(words) + 8 * at
            at += item.size
        self._words, self._table = words, table
        self.table = address(table)  # address of the table that `run_calls` reads
