"""Copies the sound of the nodes that listeners want into the memory that the web process reads."""

from __future__ import annotations

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.loop_words import LoopWord
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS, IN_NUMBER, OUT_NUMBER
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.io.tap_memory import TAPS, TapMemory, TapWord
from antiphon.kernel.native.kernel import address

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
        for tap, number in enumerate(self.wanted()):
            sound = self.sound(number, x, out, plan, channels) if number else None
            if sound is None:
                continue
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

    def wanted(self) -> memoryview[int]:
        """The numbers of the wanted nodes, 0 for none."""
        return self._words[:TAPS]

    def sound(
        self, number: int, x: Samples, out: Samples, plan: Plan | None, channels: Samples | None
    ) -> Samples | None:
        """What a tap of that node copies; None where it has no sound. Arguments as of `put`."""
        if number == OUT_NUMBER:
            return out
        if number == IN_NUMBER:
            return x
        if number <= _FIRST_BUS and channels is not None:
            first = len(out) + 2 * (_FIRST_BUS - number)
            return channels[first : first + 2]
        host = plan.hosts.get(number) if plan is not None else None
        return host.outs[0] if host is not None and host.outs else None

    @property
    def tables(self) -> dict[LoopWord, int]:
        """The memory's addresses and sizes, for machine code."""
        return {
            LoopWord.LISTEN: address(np.asarray(self._words)),
            LoopWord.LISTEN_TAGS: address(np.asarray(self._tags)),
            LoopWord.LISTEN_SOUND: address(self._sound),
            LoopWord.LISTEN_SLOTS: self._slots,
            LoopWord.LISTEN_CHANNELS: self._channels,
        }
