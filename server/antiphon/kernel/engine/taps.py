"""Sound beside the patch: a browser's, for the input, and copies of nodes' sound for listeners and for `/capture`.

A browser's sound, microphone or file, is mixed into the engine's input, or replaces a looping file. For the copies,
this module has the interpreter's part.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.ports import MIXED
from antiphon.kernel.engine.journal import TrackLabel
from antiphon.kernel.engine.loop_words import LoopWord
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS, IN_NUMBER, OUT_NUMBER
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan, Strip
from antiphon.kernel.io.capture_memory import CHANNELS, CaptureMemory
from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TAPS, TapMemory, TapWord
from antiphon.native.kernel import address

TARGET_SECONDS = 0.06
"""Buffered seconds before playback starts: covers the jitter of the network and the browser's messages."""
MAX_FILL_RATIO = 4
"""Multiple of the target above which the surplus is skipped: a faster sender's clock, or a resumed sender."""


class BrowserInput:
    """Engine's end of the input in a `TapMemory`. On underrun it fades out, and rebuffers."""

    def __init__(self, memory: TapMemory) -> None:
        shape = memory.shape
        self._words, self._block = memory.words, shape.block
        self._ring = np.frombuffer(memory.input, np.float32).reshape(shape.channels, INPUT_FRAMES)
        self._mixed = np.zeros((shape.channels, shape.block), np.float32)
        self._up = np.arange(1, shape.block + 1, dtype=np.float32) / np.float32(shape.block)
        self._down = np.ascontiguousarray(self._up[::-1])
        self._target = max(2 * shape.block, round(TARGET_SECONDS * shape.rate))
        self._filling, self._begins = True, False

    @property
    def rests(self) -> bool:
        """True while no browser sends, or the buffer is still filling."""
        return self._filling

    def add(self, x: Samples) -> Samples:
        """Returns `x` plus the browser's sound, float32 `[channels, block]`, valid until the next call.

        It is `x` itself while no browser sends, or the buffer is filling.
        """
        sound = self._taken()
        if sound is None:
            return x
        sound += x
        return sound

    def replace(self, x: Samples) -> Samples:
        """Returns the browser's sound in place of `x`, a file that replaces a microphone; else what `add` returns.

        Where the sound begins and ends, `x` is faded in place and added.
        """
        sound = self._taken()
        if sound is None:
            return x
        if self._begins or self._filling:
            x *= self._up if self._filling else self._down
            sound += x
        return sound

    def _taken(self) -> Samples | None:
        words, block = self._words, self._block
        if not words[TapWord.INPUT_OPEN]:
            self._filling = True
            return None
        end, at = words[TapWord.INPUT_WRITE], words[TapWord.INPUT_READ]
        begins = self._filling
        if begins:
            if end - at < self._target:
                return None
            self._filling = False
            at = end - self._target
        elif end - at > MAX_FILL_RATIO * self._target:
            at = end - self._target
            words[TapWord.INPUT_GAPS] += 1
            begins = True
        sound = self._mixed
        start = at % INPUT_FRAMES
        first = min(block, INPUT_FRAMES - start)
        sound[:, :first] = self._ring[:, start : start + first]
        if first < block:
            sound[:, first:] = self._ring[:, : block - first]
        if begins:
            sound *= self._up
        if end - at < 2 * block:  # the last whole block
            sound *= self._down
            self._filling = True
            words[TapWord.INPUT_GAPS] += 1
        words[TapWord.INPUT_READ] = at + block
        self._begins = begins
        return sound


_FIRST_BUS = max(BUS_NUMBERS.values())


def _bus_channels(place: int, out: Samples, channels: Samples) -> Samples:
    first = len(out) + 2 * place
    return channels[first : first + 2]


class NodeTaps:
    """Engine's end of a `TapMemory`."""

    def __init__(self, memory: TapMemory) -> None:
        shape = memory.shape
        self._words, self._tags, self._slots, self._channels = memory.words, memory.tags, shape.slots, shape.channels
        self._sound = np.frombuffer(memory.sound, np.float32).reshape(TAPS * shape.slots, shape.channels, shape.block)

    def selected_nodes(self) -> memoryview[int]:
        """Numbers of the selected nodes, 0 for none."""
        return self._words[:TAPS]

    def sound(
        self, number: int, x: Samples, out: Samples, plan: Plan | None, channels: Samples | None
    ) -> Samples | None:
        """Sound of a node's tap, or None; `x`: the input `[channels, block]`, `channels`: those of `OutputBuses`."""
        if number == OUT_NUMBER:
            return out
        if number == IN_NUMBER:
            return x
        if number <= _FIRST_BUS and channels is not None:
            return _bus_channels(_FIRST_BUS - number, out, channels)
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


_WORDS = (
    LoopWord.CAPTURE_PLACE,
    LoopWord.CAPTURE_TAGS,
    LoopWord.CAPTURE_OWNERS,
    LoopWord.CAPTURE_ROWS,
    LoopWord.CAPTURE_BEAT_TAGS,
    LoopWord.CAPTURE_BEATS,
    LoopWord.CAPTURE_SOUND,
)


_NO_STRIPS: Mapping[str, Strip] = {}


def _is_source(host: NodeHost) -> bool:
    """Whether a node makes sound without audio inputs."""
    ins, outs = ([port.kind for port in ports] for ports in (host.info.inputs, host.info.outputs))
    return "audio" in outs and "audio" not in ins


class NodeCapture:
    """Engine's end of a `CaptureMemory`; without one it names the sounds of a plan."""

    def __init__(self, memory: CaptureMemory | None = None) -> None:
        """Continues at the write position of the previous engine."""
        self._memory = memory
        self._plan: Plan | None = None
        self._buses: list[Samples] = []
        self._owners: NDArray[np.int64] | None = None
        self._strips: Mapping[str, Strip] = {}
        self.labels: list[TrackLabel] = []  # of the sounds that are tracks

    @property
    def tables(self) -> dict[LoopWord, int]:
        """Addresses of the memory, for machine code."""
        memory = self._memory
        assert memory is not None
        tables = (memory.place, memory.tags, memory.owners, memory.rows, memory.beat_tags, memory.beats, memory.sound)
        sizes = {LoopWord.CAPTURE_SLOTS: memory.shape.slots, LoopWord.CAPTURE_HELD: memory.shape.rows}
        return sizes | dict(zip(_WORDS, map(address, tables), strict=True))

    def sources(
        self, x: Samples, out: Samples, plan: Plan | None, channels: Samples, strips: Mapping[str, Strip] = _NO_STRIPS
    ) -> tuple[list[Samples], NDArray[np.int64]]:
        """Captured sounds of a plan, `[channels, block]` each, and the owner of each channel, in order.

        `channels`: those of `OutputBuses`, of whose buses the ones that the plan plays are captured. `strips`: those of
        `Strips.now`, which replace their nodes' sounds.
        """
        if self._owners is None or plan is not self._plan or strips is not self._strips:
            self._strips = strips
            self._take(x, out, plan, channels)
        assert self._owners is not None
        mixed = (sound for _, sound in self._strips.values())
        return [out, x, *self._buses, *mixed, *(host.outs[0] for host in self._hosts)], self._owners

    def _take(self, x: Samples, out: Samples, plan: Plan | None, channels: Samples) -> None:
        hosts, sounding = (plan.hosts, plan.sounding) if plan is not None else ({}, ())
        strips = dict(self._strips.values())
        buses = {_FIRST_BUS - place: _bus_channels(place, out, channels) for place, _ in sounding}
        found = {number: host for number, host in hosts.items() if host.outs and number + MIXED not in strips}
        counts = {OUT_NUMBER: len(out), IN_NUMBER: len(x)}
        counts |= {number: len(sound) for number, sound in buses.items()}
        counts |= {number: len(sound) for number, sound in strips.items()}
        counts |= {number: len(one.outs[0]) for number, one in found.items()}
        names = {number: name for name, number in BUS_NUMBERS.items() if number in buses}
        names |= {number: one.name for number, one in found.items() if _is_source(one)}
        mixed = [(number, name, counts[number], True) for name, (number, _) in self._strips.items()]
        self.labels = mixed + [(number, name, counts[number], False) for number, name in names.items()]
        if self._memory is not None:
            self._memory.name(self.labels)
        self._plan, self._hosts, self._buses = plan, list(found.values()), list(buses.values())
        self._owners = np.array(
            [number * CHANNELS + channel for number, count in counts.items() for channel in range(count)], np.int64
        )
