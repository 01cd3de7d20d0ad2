"""A synth backend that marks events in the sound, for tests: on is +velocity, off is -1, at their frames."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.backends.backend import SynthSettings
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import Event

CRASH = 13
"""The note that ends the process."""


class Impulse:
    name = "impulse"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int = 4) -> None:
        self._sound = np.zeros((slots, 2, hop), np.float32)

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._sound[slot] = 0.0

    def close(self, slot: int) -> None:
        pass

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._sound[slot] = 0.0
        for event in events:
            if event.kind == "on":
                if event.number == CRASH:
                    raise RuntimeError("the note that must not be played")
                # a note taken up again says its age on the right
                self._sound[slot, 0, event.offset] += event.value
                self._sound[slot, 1, event.offset] += event.age / 48000.0
            elif event.kind == "off":
                self._sound[slot, :, event.offset] -= 1.0
            elif event.kind == "bend":
                self._sound[slot, 1, event.offset] = event.value

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        out[active] = self._sound[active]
