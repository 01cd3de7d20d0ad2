"""`Null`: the backend that is silent and records its events."""

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from antiphon.backends.backend import SynthSettings
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import Event
from antiphon.kernel.errors import EngineError

MAX_EVENTS = 100_000
"""Maximum events in a file, whose later ones are only counted, or in `received`, where they push out the oldest."""


class Null:
    """Silent backend. `received`: events as dicts, if no path is given. `count`: number of events. `lost`: those not
    written.

    An event is {"sample": of its hop's first frame, "slot", "instrument", "kind", "offset", "number", "value",
    "channel"}. `path`: a file to append them to, one JSON object a line, whole lines at the end of each hop. Raises
    EngineError when it cannot be opened.
    """

    name = "null"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int = 4, path: str = "") -> None:
        self.received: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self.count = self.lost = 0
        self._instruments = [""] * slots
        self._lines: list[str] = []
        self._file: TextIO | None = None
        if path:
            try:
                # flushed hop by hop, so that the file is complete when the worker is killed
                self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise EngineError(f"the notes cannot be recorded in {path}: {error.strerror}") from error

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._instruments[slot] = settings.instrument

    def close(self, slot: int) -> None:
        self._instruments[slot] = ""

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        for event in events:
            row = {
                "sample": sample,
                "slot": slot,
                "instrument": self._instruments[slot],
                "kind": event.kind,
                "offset": event.offset,
                "number": event.number,
                "value": event.value,
                "channel": event.channel,
            }
            self.count += 1
            if self._file is None:
                self.received.append(row)
            elif self.count <= MAX_EVENTS:
                self._lines.append(json.dumps(row) + "\n")
            else:
                self.lost += 1

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        out[active] = 0.0
        if self._lines and self._file is not None:
            try:
                self._file.writelines(self._lines)
                self._file.flush()
            except OSError:
                self.lost += len(self._lines)
            self._lines.clear()
