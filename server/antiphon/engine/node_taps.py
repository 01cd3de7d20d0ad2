"""Copies the sound of the nodes that listeners want into the memory that the web process reads."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import Samples
from antiphon.graph.io_nodes import BUS_NUMBERS, IN_NUMBER, OUT_NUMBER
from antiphon.graph.plan import Plan
from antiphon.io.tap_memory import TAPS, TapMemory, TapWord

_FIRST_BUS = max(BUS_NUMBERS.values())


class NodeTaps:
    """The engine's end of a `TapMemory`."""

    def __init__(self, memory: TapMemory) -> None:
        shape = memory.shape
        self._words, self._tags, self._slots, self._channels = memory.words, memory.tags, shape.slots, shape.channels
        self._sound = np.frombuffer(memory.sound, np.float32).reshape(TAPS * shape.slots, shape.channels, shape.block)

    def put(self, block: int, x: Samples, out: Samples, plan: Plan | None, channels: Samples | None = None) -> None:
        """Copies the wanted nodes' first outputs of block number `block`, of a device with input `x` and output `out`.

        `channels`: those of all pairs, as of `OutputBuses`.

        A mono output goes to all channels; further channels than those of the stream are left out. A node that is not
        in the plan, or has no output with samples, is not copied.
        """
        words = self._words
        for tap in range(TAPS):
            number = words[tap]
            if not number:
                continue
            if number == OUT_NUMBER:
                sound = out
            elif number == IN_NUMBER:
                sound = x
            elif number <= _FIRST_BUS and channels is not None:
                first = len(out) + 2 * (_FIRST_BUS - number)
                sound = channels[first : first + 2]
            else:
                host = plan.hosts.get(number) if plan is not None else None
                if host is None or not host.outs:
                    continue
                sound = host.outs[0]
            slot = tap * self._slots + block % self._slots
            self._tags[slot] = 0
            count = sound.shape[0]
            if count == 1:
                self._sound[slot] = sound
            elif count >= self._channels:
                self._sound[slot] = sound[: self._channels]
            else:
                self._sound[slot, :count] = sound
                self._sound[slot, count:] = 0.0
            self._tags[slot] = block + 1
        words[TapWord.WRITE] = block + 1
