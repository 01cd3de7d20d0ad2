"""Node `identify`: passes the sound, and reports its catalogued recording."""

from collections.abc import Mapping
from typing import ClassVar

from antiphon.api import Param, StreamSpec
from antiphon.api.backends.workers import WorkerReporter, WorkerSpec

HOP = 0.5
"""Seconds of sound that go to the worker at once, and that it has to answer."""
MAX_SECONDS = 15.0


class Identify(WorkerReporter):
    """Passes every bit; each second the worker compares the last seconds with the catalogue."""

    params = (
        Param(
            "seconds", "float", 10.0, 4.0, MAX_SECONDS, "s", restart=True, doc="Length of the sound that is compared."
        ),
        Param("track", "int", 0, low=0, high=2**24, readonly=True, doc="The sound's number in the catalogue; 0: none."),
        Param(
            "position", low=-MAX_SECONDS, high=1e6, unit="s", readonly=True, doc="Position in it, half a second ago."
        ),
        Param("score", readonly=True, doc="Confidence: how far the match exceeds chance."),
        Param("speed", default=1.0, low=0.5, high=2.0, readonly=True, doc="Playback speed against the recording."),
    )

    reports: ClassVar[Mapping[str, float]] = {"track": 0.0, "position": 0.0, "score": 0.0, "speed": 1.0}

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        return self.answering("identify", "antiphon_identify.worker:Identifier", spec, HOP, slots=2)

    def config(self) -> str:
        return f"{self.settings['seconds']:g}"
