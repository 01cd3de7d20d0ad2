"""MIDI map: learned assignments, which are saved, and the patch's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from antiphon.api.backends.files import write_atomic
from antiphon.api.backends.transports import RequestError
from antiphon_midi.input.controls import FINE

log = logging.getLogger("antiphon.control")

FILE = "midi.json"
FORMAT = 1
MOST = 4096
"""Maximum learned controls."""
MAX_SIZE = 1 << 20
NOTES, PAIRS, NRPNS = 128, 256, 256 + FINE
"""Offsets of note numbers, after the controllers, of pairs of controllers and of NRPNs."""


class Knob(NamedTuple):
    """One control of one port.

    number: of a controller, or `NOTES` plus a note number, `PAIRS` plus a pair's coarse controller, `NRPNS` plus that
    of an NRPN.  channel: 1 to 16.
    """

    port: str
    number: int
    channel: int

    @property
    def control(self) -> str:
        """Name in patch syntax: "cc 21 1"; "note 36 10" for a note, "cc14 16 1" for a pair, "nrpn 133 1"."""
        kinds = (("nrpn", NRPNS), ("cc14", PAIRS), ("note", NOTES), ("cc", 0))
        kind, first = next(item for item in kinds if self.number >= item[1])
        return f"{kind} {self.number - first} {self.channel}"


class Learned(NamedTuple):
    """What a control was learned for. mode: "absolute", of `RELATIVE`, or "" until its values have told."""

    target: str
    mode: str = "absolute"


class MidiMap:
    """Knob → "node.param" or an address, one to one, in a file rewritten at each change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._targets = self._read()

    def __len__(self) -> int:
        return len(self._targets)

    def targets(self, knob: Knob, patch: Mapping[str, str]) -> Iterator[str]:
        """Possible targets of a knob by priority: learned, then the patch's [midi]."""
        learned = self._targets.get(knob)
        if learned is not None:
            yield learned.target
        for control in (knob.control, knob.control.rpartition(" ")[0]) if patch else ():
            if control in patch:
                yield patch[control]

    def assignments(self, patch: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """(target, control, port) of learned assignments, then of the patch's [midi], with port ""."""
        own = [(learned.target, knob.control, knob.port) for knob, learned in self._targets.items()]
        return own + [(target, control, "") for control, target in patch.items()]

    def mode(self, knob: Knob) -> str:
        """How a control counts, as `Learned.mode`; absolute for one of the patch."""
        return self._targets.get(knob, Learned("")).mode

    def learn(self, knob: Knob, target: str, mode: str = "absolute") -> None:
        """Maps the knob to `target` exclusively; `FileError` if it cannot be saved."""
        if len(self._targets) >= MOST and knob not in self._targets:
            raise RequestError(f"at most {MOST} controls can be learned; /unlearn one")
        left = {k: t for k, t in self._targets.items() if t.target != target}
        self._keep({**left, knob: Learned(target, mode)})

    def unlearn(self, target: str) -> bool:
        """Removes the learned assignment of `target`; False without any."""
        left = {k: t for k, t in self._targets.items() if t.target != target}
        if len(left) == len(self._targets):
            return False
        self._keep(left)
        return True

    def _keep(self, targets: dict[Knob, Learned]) -> None:
        rows = [{**knob._asdict(), **learned._asdict()} for knob, learned in targets.items()]
        write_atomic(self._path, json.dumps({"format": FORMAT, "controls": rows}, indent=1).encode())
        self._targets = targets

    def _read(self) -> dict[Knob, Learned]:
        """Saved assignments; a damaged file is reported and kept until the next learn."""
        try:
            with self._path.open("rb") as file:
                data = json.loads(file.read(MAX_SIZE))
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is not {FORMAT}")
            rows = [
                (
                    Knob(str(r["port"]), int(r["number"]), int(r["channel"])),
                    Learned(str(r["target"]), str(r.get("mode", "absolute"))),
                )
                for r in data["controls"]
            ]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s cannot be used (%s); controls have to be learned again", self._path, error)
            return {}
        return dict(rows[:MOST])


def address_of(target: str) -> str:
    return target if target.startswith("/") else "/node/" + target.replace(".", "/", 1)
