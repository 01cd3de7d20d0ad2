"""Keeps every node's sound in the ring that `/capture` cuts from."""

from __future__ import annotations

from typing import Any

from antiphon.contract.block import Samples
from antiphon.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.graph.plan import Plan
from antiphon.io.capture_memory import CHANNELS, CaptureMemory


class NodeCapture:
    """The engine's end of a `CaptureMemory`."""

    def __init__(self, memory: CaptureMemory) -> None:
        """Goes on where an engine before this one was."""
        self._slots, self._sound = memory.shape.slots, memory.sound
        # single items of a memoryview are several times faster than those of an array
        parts: list[Any] = [memory.place, memory.tags, memory.owners, memory.beat_tags, memory.beats]
        views: list[Any] = [memoryview(part) for part in parts]
        self._place, self._tags, self._owners, self._beat_tags, self._beats = views

    def put(self, block: int, beat: float, x: Samples, out: Samples, plan: Plan | None) -> None:
        """Copies the first output with samples of every node, the input and the output.

        Args:
            block: Number of the block.
            beat: At its first sample.
            x: The input, float32 `[channels, block]`.
            out: The output, alike.
            plan: The plan that plays, or None.
        """
        at = block % self._slots
        self._beat_tags[at], self._beats[at] = 0, beat
        self._beat_tags[at] = block + 1
        self._keep(block, OUT_NUMBER, out)
        self._keep(block, IN_NUMBER, x)
        if plan is not None:
            for number, host in plan.hosts.items():
                if host.outs:
                    self._keep(block, number, host.outs[0])

    def _keep(self, block: int, number: int, sound: Samples) -> None:
        at = self._place[0]
        for channel in range(sound.shape[0]):
            self._tags[at] = 0
            self._sound[at] = sound[channel]
            self._owners[at] = number * CHANNELS + channel
            self._tags[at] = block + 1
            at = at + 1 if at + 1 < self._slots else 0
        self._place[0] = at
