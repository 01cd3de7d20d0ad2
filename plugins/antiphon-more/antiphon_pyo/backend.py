"""`Pyo`: synth backend with pyo's voices."""

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples
from antiphon.api.backends.synths import INSTRUMENTS, SynthSettings
from antiphon_pyo import instruments
from antiphon_pyo.bank import Bank, Zone, give, keys
from antiphon_pyo.rack import SlotSynth

CHUNK = 256
"""Maximum frames pyo computes at once; a longer hop is split into equal chunks."""
MAX_SLOTS = 32
FIRST = 4
"""Number of slots whose voices exist from the start; further ones take 4 ms and 0.7 MB each when opened."""

_loaded: dict[tuple[str, int, Path | None], Sequence[Zone | None]] = {}
"""Instruments by name, rate and sample folder; kept for the process's lifetime, like all of pyo's objects."""


class SynthError(EngineError):
    """A synth that cannot be created or opened, in one sentence."""


class Pyo:
    """Renders notes by pyo. Allocates the voices of the first slots at once, so that opening them is cheap.

    `rate`: sample rate of the stream. `hop`: 1 to 2048 frames. `slots`: nodes, 1 to 32. `samples`: the sample folder;
    None for the one beside the plugin `antiphon_synth`.
    """

    name = "pyo"
    rehearses = True

    def __init__(self, rate: int, hop: int, slots: int = 4, samples: Path | None = None) -> None:
        if not 1 <= slots <= MAX_SLOTS:
            raise SynthError(f"pyo plays 1 to {MAX_SLOTS} nodes, not {slots}; give fewer nodes a synth")
        self._rate, self._hop, self._samples = rate, hop, samples
        self._chunk = chunk(hop)
        self._racks: list[SlotSynth] = []
        self._banks: list[Bank] = []
        self._allocate(min(slots, FIRST))
        weakref.finalize(self, give, self._banks)
        self._events: list[Sequence[Event]] = [()] * slots
        self._part: Samples = np.zeros((2, self._chunk), np.float32)

    def preload(self, settings: SynthSettings) -> Callable[[], None] | None:
        """Returns a function that loads the settings' instrument in any thread; None if it is loaded or unknown.

        Another process computes the instrument, so that the thread holds the interpreter lock only briefly.
        """
        name = settings.instrument
        if name not in instruments.INSTRUMENTS or self._key(name) in _loaded:
            return None

        def load() -> None:
            _loaded[self._key(name)] = keys(instruments.read(name, self._rate, self._samples))

        return load

    def open(self, slot: int, settings: SynthSettings) -> None:
        """Opens a slot. Raises `SynthError`: the instrument is unknown."""
        self._allocate(slot + 1)
        self._racks[slot].open(settings, self._load(settings.instrument))
        self._events[slot] = ()

    def close(self, slot: int) -> None:
        self._racks[slot].clear()
        self._events[slot] = ()

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._events[slot] = events

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        for slot, rack in enumerate(self._racks):
            if not active[slot]:
                continue
            events, taken = self._events[slot], 0
            self._events[slot] = ()
            for start in range(0, self._hop, self._chunk):
                end = start + self._chunk
                first = taken
                while taken < len(events) and (events[taken].offset < end or end >= self._hop):
                    taken += 1
                now = [(min(max(e.offset - start, 0), self._chunk - 1), e) for e in events[first:taken]]
                rack.run(now, self._part)
                out[slot, :, start:end] = self._part

    @property
    def drop_count(self) -> int:
        """Number of notes dropped because no voice was free."""
        return sum(rack.voices.dropped for rack in self._racks)

    def _allocate(self, count: int) -> None:
        while len(self._racks) < count:
            self._racks.append(SlotSynth(self._rate, self._chunk))
            self._banks += self._racks[-1].banks

    def _load(self, name: str) -> Sequence[Zone | None]:
        if name not in instruments.INSTRUMENTS:
            raise SynthError(f"pyo plays no {name!r}; it plays {', '.join(INSTRUMENTS)}")
        key = self._key(name)
        if key not in _loaded:
            _loaded[key] = keys(instruments.sounds(name, self._rate, self._samples))
        return _loaded[key]

    def _key(self, name: str) -> tuple[str, int, Path | None]:
        return name, self._rate, self._samples


def chunk(hop: int) -> int:
    """Largest divisor of the hop up to `CHUNK`; the hop itself if that were tiny."""
    best = next(n for n in range(min(hop, CHUNK), 0, -1) if hop % n == 0)
    return best if best >= 32 or hop <= CHUNK else hop
