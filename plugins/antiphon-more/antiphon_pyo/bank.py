"""Banks of eight voices, each in its own pyo server that runs only while a voice sounds; zones in pyo tables.

A voice: two table oscillators, left and right, each through a low-pass. Level and speed are audio-rate signals. They
bypass the server's input channels, because each pyo `Input` scans every sample of every channel (96 of them at 256
frames: measured 3.9 ms a chunk, against 0.02). The input buffer carries a single channel, the frame number, by which
`TableIndex` reads tables filled by numpy.

pyo is imported as if Python had no tkinter, which would add 4 MB and a tenth of the import time. It then prints three
lines about installing windows, which have no setting to disable them and are hidden here. Other output is printed.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon_pyo.instruments import STEPS, ZoneSound

ABOUT_WINDOWS = re.compile(
    r"\n?(?:Neither WxPython nor Tkinter are|WxPython is not) found.*?wxpython\.org/?\s*", re.DOTALL
)
"""Pattern of the message in `pyo/lib/_widgets.py` of pyo 1.0.6."""


def _imported() -> ModuleType:
    os.environ.setdefault("PYO_GUI_WX", "0")
    os.environ.setdefault("PYO_SERVER_AUDIO", "manual")
    printed = io.StringIO()
    before = sys.modules.get("tkinter")
    sys.modules["tkinter"] = None  # type: ignore[assignment] # an import of it raises ImportError
    try:
        with redirect_stdout(printed):
            import pyo as found
    finally:
        if before is None:
            del sys.modules["tkinter"]
        else:
            sys.modules["tkinter"] = before
        if rest := ABOUT_WINDOWS.sub("", printed.getvalue()).strip():
            print(rest, flush=True)
    return found  # type: ignore[no-any-return]


pyo: Any = _imported()


PADDING = 4096
"""Frames of silence after a one-shot sound, more than the fastest playback passes the end by within a chunk."""


class Zone:
    """A `ZoneSound` in tables. tables: pyo's own, left and right.  size: their frames.  frames: without the padding."""

    def __init__(self, sound: ZoneSound) -> None:
        self.root, self.loop = sound.root, sound.loop
        self.frames = len(sound.left)
        self.size = self.frames if sound.loop else self.frames + PADDING
        self.hz = sound.rate / self.size
        self._logs = np.log(np.asarray(sound.cutoffs))
        self._held = [_table(sound.left, self.size)]
        self._held.append(self._held[0] if sound.right is sound.left else _table(sound.right, self.size))
        self.tables: tuple[Any, Any] = (self._held[0][0], self._held[1][0])

    def pitch(self, note: float) -> float:
        """Reading speed for a note, 1 at the root."""
        return float(2.0 ** ((note - self.root) / 12.0))

    def cutoff(self, note: float, velocity: float) -> float:
        """Low-pass cutoff of a note in Hz: it tracks the pitch."""
        return float(np.exp(np.interp(velocity, STEPS, self._logs))) * self.pitch(note)


def keys(sounds: Iterable[ZoneSound]) -> list[Zone | None]:
    """Zone of each key 0 to 127; None for silent keys. Creates the tables; requires a pyo server."""
    zones: list[Zone | None] = [None] * 128
    for sound in sounds:
        zone = Zone(sound)
        for key in range(max(0, sound.low), min(127, sound.high) + 1):
            zones[key] = zone
    return zones


def _table(x: Samples, size: int) -> Any:
    table = pyo.DataTable(size)
    view: NDArray[np.float32] = np.asarray(table.getBuffer())
    view[: len(x)] = x
    return table


SIZE = 8
CUBIC, LOWPASS = 4, 0
RESONANCE = 0.7071
SETTLE = 0.02
"""Seconds until a filter without input is silent, and a server has faded in."""
OPEN = 0.45
"""Highest cutoff, as a share of the rate."""


_spare: dict[tuple[int, int], list[Bank]] = {}


def take(rate: int, chunk: int) -> Bank:
    """Returns a silent bank, reused if possible: pyo's objects are never freed, because that may crash pyo."""
    spare = _spare.get((rate, chunk))
    return spare.pop() if spare else Bank(rate, chunk)


def give(banks: Sequence[Bank]) -> None:
    """Returns unused banks for reuse."""
    for bank in banks:
        bank.reset_voices()
        _spare.setdefault((bank.rate, bank.chunk), []).append(bank)


class Bank:
    """Eight voices. `level`, `speed`: each voice's signal for the chunk, float32 `[chunk]`, to be filled before `run`.

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

    def reset_voices(self) -> None:
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

    def set_cutoff(self, voice: int, cutoff: float) -> None:
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
