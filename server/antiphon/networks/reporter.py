"""Base class of analysis processors: audio passes unchanged, a worker reports readonly values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.workers.processor import WorkerProcessor
from antiphon.signal.listening_mix import ListeningMix


class WorkerReporter(WorkerProcessor):
    """Passes audio bit-exact without latency; the worker gets the mix of the channels, and answers with numbers.

    `reports`: by `readonly` parameter, in the order of an answer, its number before there is one.
    """

    reports: ClassVar[Mapping[str, float]]

    def dry(self, inputs: int, outputs: int) -> bool:
        """False: audio passes whatever the worker does, so there is no dry replacement."""
        return False

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the stream and allocates every buffer."""
        super().prepare(spec)
        self.latency = 0
        self._mix = ListeningMix.live(spec.rate)
        self._unused: Samples = np.zeros((spec.channels, spec.block), np.float32)
        self._before: Samples = np.array(list(self.reports.values()), np.float32)
        self._found: Samples = self._before.copy()

    def process(self, io: IO) -> None:
        """Passes a block, and reports the last answer."""
        io.audio_out[0][:] = io.audio_in[0]
        self._io = io
        self.hops.run(io, io.audio_in[0], self._unused[:, : io.frames])
        for place, name in enumerate(self.reports):
            io.report(name, float(self._found[place]))

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes the channels as mono into `into`."""
        self._mix.take(sound, into[0, 0])

    def load(self, hop: int, out: Samples) -> None:
        """Stores the answer to a hop, if there is one."""
        if hop >= self.hops.first:
            answer = self.client.take(hop, self._io)
            if answer is not None:
                self._found[:] = answer[0, 0]

    def reset(self) -> None:
        """Resets the reported values to their initial ones."""
        super().reset()
        self._found[:] = self._before
