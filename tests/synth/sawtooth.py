"""A synth backend whose sound is a function of the engine's sample and of the notes that are down, for tests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.backends.backend import SynthSettings
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import Event


class Sawtooth:
    name = "sawtooth"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int = 4) -> None:
        self._frames = np.arange(hop)
        self._down: list[set[int]] = [set() for _ in range(slots)]
        self._sample = [0] * slots

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._down[slot].clear()

    def close(self, slot: int) -> None:
        self._down[slot].clear()

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._sample[slot] = sample
        for event in events:
            if event.kind == "on":
                self._down[slot].add(event.number)
            elif event.kind == "off":
                self._down[slot].discard(event.number)

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        for slot in np.flatnonzero(active):
            saw = ((self._sample[slot] + self._frames) % 997) / 997.0
            out[slot] = saw * (0.2 + 0.1 * len(self._down[slot]))
