"""Node `identify`: passes the sound, and reports the catalogued recording that it comes from."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from antiphon.api import FileHearing, FileUse, Param, StreamSpec, Value
from antiphon.api.backends.workers import WorkerReporter, WorkerSpec

HOP = 0.5
"""Length in seconds of the hops sent to the worker, and its deadline."""
MAX_SECONDS = 15.0


class Identify(WorkerReporter):
    """Passes sound unchanged; each second the worker compares the last seconds with the catalogue."""

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

    on_files = FileUse(hears="antiphon_identify.processor:hear", beside=("report",))
    reports: ClassVar[Mapping[str, float]] = {"track": 0.0, "position": 0.0, "score": 0.0, "speed": 1.0}

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        return self.answering("identify", "antiphon_identify.worker:Identifier", spec, HOP, slots=2)

    def config(self) -> str:
        return f"{self.settings['seconds']:g}"


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """Returns the catalogued recordings and pieces in a file, best first, as `FileUse.hears` of `identify`."""
    from antiphon.api.backends.files import printable_path
    from antiphon_identify.worker import identify_file

    found = identify_file(path)
    if found is None:
        return FileHearing(said="your library is empty: antiphon library add FOLDER puts sounds into it")
    told = [(printable_path(Path(os.fsdecode(match.path))), match) for match in found]
    report = [
        {"path": name, "track": match.number, "kind": match.kind, "position": round(match.offset, 2),
         "score": round(match.score, 3), "speed": round(match.speed, 4)}
        for name, match in told
    ]  # fmt: skip
    if not told:
        return FileHearing(said="nothing of your library is in it", report={"found": report})
    name, best = told[0]
    said = f"the {best.kind} {name} from {best.offset:.1f} s on, score {best.score:.2f}"
    return FileHearing(said=said, report={"found": report})
