"""What can be sent to the running server, from its OSCQuery tree: addresses, ranges, values, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.web.oscquery.query import UNITS

NORM = "/norm"
_UNITS = {theirs: ours for ours, theirs in UNITS.items()}
WRITE = 2
"""Bit of OSCQuery's ACCESS: the address takes a value."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One address. `low`, `high`: range of a number; None without one."""

    address: str
    doc: str
    types: str  # OSC type tags of its arguments; N for none
    value: str = ""  # as text, "" for an address without one
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    unit: str = ""

    @property
    def allowed(self) -> str:
        """What it takes, as text: "0 to 0.98", "gate or learned", ""."""
        if self.words:
            return " or ".join(self.words)
        if self.low is None or self.high is None:
            return "on or off" if self.types in ("T", "F") else ""
        unit = f" {_UNITS.get(self.unit, self.unit)}" if self.unit else ""
        return f"{self.low:g} to {self.high:g}{unit}"

    @property
    def line(self) -> str:
        """The address with its value, what it takes, and its sentence."""
        shown = (self.address, self.value and f"= {self.value}", self.allowed and f"({self.allowed})", self.doc)
        return " ".join(part for part in shown if part)


def declarations(tree: Mapping[str, Any]) -> dict[str, Declaration]:
    """The addresses that take a message, of an OSCQuery tree; `/norm` is left out, which only faders need."""
    found: dict[str, Declaration] = {}
    _read(tree, found)
    return found


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
    return str(value)


def _read(entry: Mapping[str, Any], found: dict[str, Declaration]) -> None:
    path = str(entry.get("FULL_PATH", ""))
    if "TYPE" in entry and int(entry.get("ACCESS", 0)) & WRITE and not path.endswith(NORM):
        bounds = (entry.get("RANGE") or [{}])[0]
        value = (entry.get("VALUE") or [None])[0]
        found[path] = Declaration(
            path,
            str(entry.get("DESCRIPTION", "")),
            str(entry["TYPE"]),
            _shown(value),
            bounds.get("MIN"),
            bounds.get("MAX"),
            tuple(map(str, bounds.get("VALS", ()))),
            (entry.get("UNIT") or [""])[0],
        )
    for below in entry.get("CONTENTS", {}).values():
        _read(below, found)
