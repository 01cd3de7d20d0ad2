"""The node `classify`: passes the sound, and reports what it most likely is."""

from __future__ import annotations

import numpy as np

from antiphon.api import IO, Param, Samples, StreamSpec
from antiphon.api.workers import WorkerProcessor, WorkerSpec
from antiphon_classify.labels import LIVE_LABELS, UNKNOWN

CLASSIFIERS = ("genre", "instruments", "tags")
HOP = 0.5
"""Seconds of sound that go to the worker at once, and that it has to answer."""
REPORTS = ("label", "confidence", "second", "third")
"""The numbers of an answer, by the parameter that has each."""


class Classify(WorkerProcessor):
    """Passes every bit; each second the worker classifies the last seconds, by the code that classifies files."""

    params = (
        Param("by", "choice", "genre", choices=CLASSIFIERS, restart=True, doc="The classifier."),
        Param("seconds", default=6.0, low=3.0, high=15.0, unit="s", restart=True, doc="Of sound that are classified."),
        Param("label", "choice", UNKNOWN, choices=LIVE_LABELS, readonly=True, doc="The most likely; or unknown."),
        Param("confidence", default=0.0, low=0.0, high=1.0, readonly=True, doc="The probability of the most likely."),
        Param("second", "choice", UNKNOWN, choices=LIVE_LABELS, readonly=True, doc="The second most likely."),
        Param("third", "choice", UNKNOWN, choices=LIVE_LABELS, readonly=True, doc="The third most likely."),
    )

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        hop = round(HOP * spec.rate)
        return WorkerSpec(
            name="classify", factory="antiphon_classify.worker:LiveClassifier", zygote="none", hop=hop, rate=spec.rate,
            inputs=(1, hop), outputs=(1, len(REPORTS)), slots=4, memory=1024,
        )  # fmt: skip

    def config(self) -> str:
        return f"{self.settings['by']} {self.settings['seconds']:g}"

    def dry(self, inputs: int, outputs: int) -> bool:
        return False

    def prepare(self, spec: StreamSpec) -> None:
        super().prepare(spec)
        self.latency = 0
        self._unused: Samples = np.zeros((spec.channels, spec.block), np.float32)
        self._found: Samples = np.zeros(len(REPORTS), np.float32)

    def process(self, io: IO) -> None:
        io.audio_out[0][:] = io.audio_in[0]
        self._io = io
        self.hops.run(io, io.audio_in[0], self._unused[:, : io.frames])
        for name, number in zip(REPORTS, self._found, strict=True):
            io.report(name, float(number))

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        np.mean(sound, axis=0, out=into[0, 0])

    def load(self, hop: int, out: Samples) -> None:
        if hop >= self.hops.first:
            answer = self.client.take(hop, self._io)
            if answer is not None:
                self._found[:] = answer[0, 0]

    def reset(self) -> None:
        super().reset()
        self._found.fill(0.0)
