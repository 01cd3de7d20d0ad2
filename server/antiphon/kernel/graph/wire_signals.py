"""Wire signals of a block: summed and delayed audio, and events with tracked note ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Self

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import PEDAL, Event
from antiphon.native import dsp
from antiphon.native.kernel import Step

NO_CALLS = Step(())
WireKey = tuple[int, str, int, str, int, int]
"""Identifies a wire with a delay: number and port of its source and its destination, lag in frames, channels."""


class _Delay:
    """What is held of a signal, and its delayed copy `out`."""

    def __init__(self, source: Samples, held: int) -> None:
        """Begins with silence; `held`: frames."""
        self.source = source  # input buffer, float32 `[channels, block]`
        self.out = np.zeros_like(source)
        self._ring = np.zeros((source.shape[0], held), np.float32)
        self._at = np.zeros(1, np.int64)

    def clear(self) -> None:
        """Fills the delay with silence."""
        self._ring.fill(0.0)

    def copy_state(self, old: Self) -> None:
        """Copies the content of another plan's delay of equal length and channels."""
        self._ring[:] = old._ring
        self._at[:] = old._at


class DelayLine(_Delay):
    """A delay for latency compensation."""

    def __init__(self, source: Samples, lag: int) -> None:
        """Begins with silence, with a delay of `lag` frames, 1 at least."""
        super().__init__(source, lag + 1)
        self._lag = lag

    def step(self, frames: int) -> Step:
        """Delays the first `frames` of the source's block."""
        return dsp.delay_line.step(self.source, self.out, self._ring, self._at, self._lag, frames)

    def run(self, frames: int) -> None:
        """Runs the step for `frames`."""
        self.step(frames).run()


class FeedbackDelay(_Delay):
    """A wire that closes a cycle: a delay of one block, whatever the number of frames of each call."""

    def __init__(self, source: Samples) -> None:
        self.block = source.shape[1]  # the delay, frames
        super().__init__(source, 2 * self.block)

    def read(self, frames: int) -> Step:
        """Writes the delayed signal to `out`. It is called before the nodes of a block run."""
        return dsp.ring_read.step(self._ring, self.out, self._at, self.block, frames)

    def write(self, frames: int) -> Step:
        """Stores the source's signal. It is called after the nodes of a block have run."""
        return dsp.ring_write.step(self.source, self._ring, self._at, frames)


SourceKey = tuple[int, str, int]
"""Identifies the signal of a wire: number and port of its source, and its delay in frames (-1: it closes a cycle)."""


class InputMix:
    """The signal at one input: silence, one wire unchanged, or the sum of several with adapted channels.

    `direct`: whether the only source is used without a copy. `buffer`: the signal, float32 `[channels, block]`.
    """

    def __init__(self, sources: list[Samples], channels: int, block: int, keys: Sequence[SourceKey] = ()) -> None:
        self.sources = sources  # buffers of the wires, float32 `[channels, block]` each
        self.wires = keys  # what each source is
        self.keys = frozenset(keys)
        self.direct = len(sources) == 1 and sources[0].shape[0] == channels
        self.buffer = sources[0] if self.direct else np.zeros((channels, block), np.float32)
        self.view = self.buffer.view()  # the same, read-only
        self.view.flags.writeable = False

    def part(self, nodes: Collection[int], *, of: bool) -> InputMix:
        """Returns the mix of the sources that come `of` these nodes, by number, or of the others."""
        sources = [x for x, (number, _, _) in zip(self.sources, self.wires, strict=True) if (number in nodes) == of]
        return InputMix(sources, *self.buffer.shape)

    def step(self, frames: int) -> Step:
        """Computes the first `frames` of the signal."""
        if self.direct:
            return NO_CALLS
        return Step(
            tuple((dsp.adapt, (source, self.buffer, int(n > 0), frames)) for n, source in enumerate(self.sources))
        )

    def run(self, frames: int) -> None:
        """Runs the step for `frames`."""
        if self.sources and not self.direct:
            self.step(frames).run()


class NoteWire:
    """A wire for events from one node to another. `midi`: that of `Port`."""

    def __init__(self, key: tuple[int, str], events: list[Event], midi: int = 0) -> None:
        self.key, self.events, self.midi = key, events, midi
        self.held: set[tuple[int, int]] = set()
        self.pedals: set[int] = set()

    def take(self, into: list[Event]) -> None:
        """Appends the source's events to `into`, and tracks notes and pedals."""
        for event in self.events:
            if self.midi and (event.channel == abs(self.midi)) != (self.midi > 0):
                continue
            into.append(event)
            match event.kind:
                case "on":
                    self.held.add((event.channel, event.number))
                case "off":
                    self.held.discard((event.channel, event.number))
                case "control" if event.number == PEDAL:
                    (self.pedals.add if event.value >= 0.5 else self.pedals.discard)(event.channel)

    def endings(self) -> list[Event]:
        """Note-offs and pedal releases for all held notes and pedals."""
        notes = [Event("off", 0, number, 0.0, channel) for channel, number in sorted(self.held)]
        return [*notes, *(Event("control", 0, PEDAL, 0.0, channel) for channel in sorted(self.pedals))]
