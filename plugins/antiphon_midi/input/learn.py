"""Which MIDI control moves which parameter: what was learned, and is kept, and what a patch says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from antiphon.api.backends.files import write_atomic
from antiphon.api.backends.transports import RequestError

log = logging.getLogger("antiphon.control")

FILE = "midi.json"
FORMAT = 1
MOST = 4096
"""Controls that can be learned."""
MAX_SIZE = 1 << 20
NOTES = 128
"""Numbers from here on are notes, which come after the controllers."""


class Knob(NamedTuple):
    """One control of one port. number: of a controller, or `NOTES` and that of a note; channel: 1 to 16."""

    port: str
    number: int
    channel: int

    @property
    def control(self) -> str:
        """As a patch writes it: "cc 21 1"; a note is "note 36 10"."""
        kind, number = ("cc", self.number) if self.number < NOTES else ("note", self.number - NOTES)
        return f"{kind} {number} {self.channel}"


class MidiMap:
    """Knob → "node.param" or an address, one for one, in a file that is rewritten whole at each change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._targets = self._read()

    def __len__(self) -> int:
        return len(self._targets)

    def targets(self, knob: Knob, patch: Mapping[str, str]) -> Iterator[str]:
        """What the knob may move, first what goes before: what was learned, then the patch's [midi]."""
        learned = self._targets.get(knob)
        if learned is not None:
            yield learned
        for control in (knob.control, knob.control.rpartition(" ")[0]) if patch else ():
            if control in patch:
                yield patch[control]

    def assignments(self, patch: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """(target, control, port) of what was learned, then of the patch's [midi], whose port is ""."""
        own = [(target, knob.control, knob.port) for knob, target in self._targets.items()]
        return own + [(target, control, "") for control, target in patch.items()]

    def learn(self, knob: Knob, target: str) -> None:
        """Maps the knob to `target` alone; `FileError` when that cannot be saved."""
        if len(self._targets) >= MOST and knob not in self._targets:
            raise RequestError(f"at most {MOST} controls can be learned; /unlearn one")
        left = {k: t for k, t in self._targets.items() if t != target}
        self._keep({**left, knob: target})

    def unlearn(self, target: str) -> bool:
        """Removes what was learned for `target`; False without any."""
        left = {k: t for k, t in self._targets.items() if t != target}
        if len(left) == len(self._targets):
            return False
        self._keep(left)
        return True

    def _keep(self, targets: dict[Knob, str]) -> None:
        rows = [{"port": k.port, "number": k.number, "channel": k.channel, "target": t} for k, t in targets.items()]
        write_atomic(self._path, json.dumps({"format": FORMAT, "controls": rows}, indent=1).encode())
        self._targets = targets

    def _read(self) -> dict[Knob, str]:
        """What was kept; a damaged file is said and left as it is until something is learned."""
        try:
            with self._path.open("rb") as file:
                data = json.loads(file.read(MAX_SIZE))
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is not {FORMAT}")
            rows = [
                (Knob(str(r["port"]), int(r["number"]), int(r["channel"])), str(r["target"])) for r in data["controls"]
            ]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s cannot be used (%s); controls have to be learned again", self._path, error)
            return {}
        return dict(rows[:MOST])


def address_of(target: str) -> str:
    return target if target.startswith("/") else "/node/" + target.replace(".", "/", 1)
