"""Worker side of analysis nodes: one stream a slot, analysed over its last seconds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.workers.spec import WorkerSpec


class ReportedStream(Protocol):
    """Analysis state of one stream."""

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the report at its end into `into`."""


StreamOf = TypeVar("StreamOf", bound=ReportedStream)


class ReportingStepper(ABC, Generic[StreamOf]):
    """`Stepper` with an independent stream per slot."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self._streams: dict[int, StreamOf] = {}

    @abstractmethod
    def stream(self, config: str) -> StreamOf:
        """Creates a stream with an initial state."""

    def warm(self) -> None:
        """No operation: no step is slower than the first."""

    def open(self, slot: int, config: str) -> None:
        """Opens a stream with an initial state."""
        self._streams[slot] = self.stream(config)

    def close(self, slot: int) -> None:
        """Ends a stream."""
        self._streams.pop(slot, None)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Passes each stream its hop, as `Stepper.step`.

        `hops`: `[slots]`: each slot's hop number on the sample clock, or -1 where it has none. `x`: float32 `[slots,
        *inputs]`. `y`: float32 `[slots, *outputs]`, to be filled in rows with a hop.
        """
        for slot in np.flatnonzero(hops >= 0).tolist():
            self._streams[slot].step(int(hops[slot]), x[slot], y[slot])


class RecentSound(ABC):
    """Last seconds of a mono stream, analysed at intervals.

    `frames`: frames of it that are held, at most. `every`: hops from one look to the next. `sound`: what is held,
    float32 `[frames]`.
    """

    every = 2

    def __init__(self, *, rate: int, wanted: int, frames: int) -> None:
        import soxr

        self._resampled = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
        self._wanted, self._most = wanted, frames
        self.sound: Samples = np.zeros(0, np.float32)
        self.seconds = 0.0

    @abstractmethod
    def look(self) -> None:
        """Analyses `sound`."""

    @abstractmethod
    def answer(self) -> Sequence[float]:
        """Returns the newest report, numbers in the order of the node's `reports`."""

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the newest report into `into`.

        `hop`: its number on the sample clock. `sound`: float32 `[1, frames]` at the stream's rate. `into`: float32 `[1,
        numbers]`, to be filled.
        """
        new = self._resampled.resample_chunk(sound[0])
        self.sound = np.concatenate([self.sound, new])[-self._most :]
        self.seconds += len(new) / self._wanted
        if hop % self.every == 0:
            self.look()
        into[0] = self.answer()
