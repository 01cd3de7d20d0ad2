"""Bank of eight voices in its own pyo server, run only while one of them sounds.

A voice: two table oscillators, left and right, each through a low-pass. Level and speed are audio-rate signals. They do
not come through the server's input channels, since pyo's `Input` scans every sample of every channel for its own (96 of
them at 256 frames: 3.9 ms a chunk, measured, against 0.02). So the input buffer carries one channel, the frame number,
by which `TableIndex` reads tables filled by numpy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon_pyo.quietpyo import pyo
from antiphon_pyo.zones import Zone

SIZE = 8
CUBIC, LOWPASS = 4, 0
RESONANCE = 0.7071
SETTLE = 0.02
"""Seconds until an unfed filter is silent, and a server has faded in."""
OPEN = 0.45
"""Highest cutoff, as a share of the rate."""


_spare: dict[tuple[int, int], list[Bank]] = {}


def take(rate: int, chunk: int) -> Bank:
    """A silent bank, reused if possible: pyo's objects are never freed, because pyo may crash then."""
    spare = _spare.get((rate, chunk))
    return spare.pop() if spare else Bank(rate, chunk)


def give(banks: Sequence[Bank]) -> None:
    """Returns unused banks for reuse."""
    for bank in banks:
        bank.fresh()
        _spare.setdefault((bank.rate, bank.chunk), []).append(bank)


class Bank:
    """`level`, `speed`: each voice's signal of the chunk, float32 `[chunk]`, to be filled before `run`.

    `out`: float32 `[chunk, 2]`, output of the last `run`.
    """

    def __init__(self, rate: int, chunk: int) -> None:
        self.rate, self.chunk = rate, chunk
        self._top = OPEN * rate
        server = pyo.Server(sr=rate, nchnls=2, buffersize=chunk, duplex=1, audio="manual", ichnls=1, verbosity=0)
        server.boot()
        server.start()
        self._server = server
        self.run = server._server.process
        self.out: Samples = _at(server._server.getOutputAddr(), (chunk, 2))
        self._frames = pyo.Input(0)[0]
        _at(server._server.getInputAddr(), (chunk,))[:] = np.arange(chunk)
        self._silence = pyo.DataTable_base(64)
        self.level: list[Samples] = []
        self.speed: list[Samples] = []
        self._oscillators: list[tuple[Any, Any]] = []
        self._filters: list[tuple[Any, Any]] = []
        self._objects: list[Any] = []
        for _ in range(SIZE):
            self._voice(chunk)
        self._settle = round(SETTLE * rate) // chunk + 4
        self._used = True  # a server fades in when it starts
        self.rest()

    def rest(self) -> None:
        """Runs with every level at 0 until the filters are silent."""
        if self._used:
            for _ in range(self._settle):
                self.run()
        self._used = False

    def fresh(self) -> None:
        """Resets all voices to the state before any note."""
        for row in (*self.level, *self.speed):
            row.fill(0.0)
        self.rest()

    def begin(self, voice: int, zone: Zone, phase: float, cutoff: float) -> None:
        """Starts a silent voice with `zone` from `phase` (0 to 1 of its table)."""
        self._used = True
        cutoff = min(cutoff, self._top)
        for oscillator, low, table in zip(self._oscillators[voice], self._filters[voice], zone.tables, strict=True):
            oscillator.setTable(table)
            oscillator.setPhase(phase)
            oscillator.reset()
            low.setFreq(cutoff)

    def shade(self, voice: int, cutoff: float) -> None:
        """Sets the voice's low-pass cutoff."""
        for low in self._filters[voice]:
            low.setFreq(min(cutoff, self._top))

    def _voice(self, chunk: int) -> None:
        # the objects underneath: pyo's own wrappers check and loop for a microsecond or two each call, make a worker
        # of 16 nodes start 0.1 s later, and put a cross-fader between an oscillator and its filter
        tables = pyo.DataTable_base(chunk), pyo.DataTable_base(chunk)
        level, speed = (_playing(pyo.TableIndex_base(table, self._frames)) for table in tables)
        both = [_playing(pyo.Osc_base(self._silence, speed, 0.0, CUBIC, level)) for _ in range(2)]
        filters = [pyo.Biquad_base(x, 1000.0, RESONANCE, LOWPASS) for x in both]
        for side, low in enumerate(filters):
            low.out(side, 0, 0)
        self.level.append(np.asarray(tables[0].getTableStream()))
        self.speed.append(np.asarray(tables[1].getTableStream()))
        self._oscillators.append((both[0], both[1]))
        self._filters.append((filters[0], filters[1]))
        self._objects += [tables, level, speed]


def _playing(each: Any) -> Any:
    """Starts an object whose output others read."""
    each.play(0, 0)
    return each


def _at(address: str, shape: tuple[int, ...]) -> Samples:
    count = int(np.prod(shape))
    pointer = ctypes.cast(int(address, 16), ctypes.POINTER(ctypes.c_float * count))
    return np.ctypeslib.as_array(pointer.contents).reshape(shape)
