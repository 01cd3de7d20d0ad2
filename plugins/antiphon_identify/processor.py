"""The node `identify`: passes the sound, and reports which catalogued recording it is."""

from __future__ import annotations

import numpy as np

from antiphon.api import IO, Param, Samples, StreamSpec
from antiphon.api.workers import WorkerProcessor, WorkerSpec

HOP = 0.5
"""Seconds of sound that go to the worker at once, and that it has to answer."""
LONGEST = 15.0
NUMBERS = 4
"""Of an answer: track, position, score, speed."""


class Identify(WorkerProcessor):
    """Passes every bit; each second the worker compares the last seconds with the catalogue."""

    params = (
        Param(
            "seconds", default=10.0, low=4.0, high=LONGEST, unit="s", restart=True, doc="Of sound that are compared."
        ),
        Param("track", "int", 0, low=0, high=2**24, readonly=True, doc="The sound's number in the catalogue; 0: none."),
        Param(
            "position", default=0.0, low=-LONGEST, high=1e6, unit="s", readonly=True, doc="In it, half a second ago."
        ),
        Param("score", default=0.0, low=0.0, high=1.0, readonly=True, doc="How far it stands out from chance."),
        Param("speed", default=1.0, low=0.5, high=2.0, readonly=True, doc="Times as fast as it was recorded."),
    )

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        hop = round(HOP * spec.rate)
        return WorkerSpec(
            name="identify", factory="antiphon_identify.worker:Identifier", zygote="none", hop=hop, rate=spec.rate,
            inputs=(1, hop), outputs=(1, NUMBERS), slots=2, memory=1024,
        )  # fmt: skip

    def config(self) -> str:
        return f"{self.settings['seconds']:g}"

    def dry(self, inputs: int, outputs: int) -> bool:
        return False

    def prepare(self, spec: StreamSpec) -> None:
        super().prepare(spec)
        self.latency = 0
        self._unused: Samples = np.zeros((spec.channels, spec.block), np.float32)
        self._found: Samples = np.zeros(NUMBERS, np.float32)
        self._forget()

    def process(self, io: IO) -> None:
        io.audio_out[0][:] = io.audio_in[0]
        self._io = io
        self.hops.run(io, io.audio_in[0], self._unused[:, : io.frames])
        io.report("track", float(self._found[0]))
        io.report("position", float(self._found[1]))
        io.report("score", float(self._found[2]))
        io.report("speed", float(self._found[3]))

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        np.mean(sound, axis=0, out=into[0, 0])

    def load(self, hop: int, out: Samples) -> None:
        if hop >= self.hops.first:
            answer = self.client.take(hop, self._io)
            if answer is not None:
                self._found[:] = answer[0, 0]

    def reset(self) -> None:
        super().reset()
        self._forget()

    def _forget(self) -> None:
        self._found.fill(0.0)
        self._found[3] = 1.0
