"""Description of a third-party plugin as data, written by a process that loaded it once."""

from __future__ import annotations

import ctypes as c
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from antiphon.api import Param

VERSION = 4
"""Format version of the description; cached descriptions of other versions are ignored."""
RATE = 48000.0
"""Sample rate in Hz for ranges given relative to the rate."""
MAX_CONTROLS, MAX_CHANNELS, MAX_CHOICES = 1200, 128, 128
_TAKEN = frozenset(
    {"bypass", "mute", "wet", "reset", "type", "uri", "state", "keep", "dropped", "connect", "out", "in"}
)
_MAX_VALUE = 1e9


@dataclass(frozen=True, slots=True)
class HostedControl:
    """A plugin's control: its address in the plugin, and its parameter here.

    `values`: for a choice, the plugin's number for each of `choices`; for a switch, the numbers of off and on.
    """

    key: int | str  # index of an LV2 port, id of a CLAP parameter, name of a VST3 one
    name: str
    kind: str  # "float", "int", "switch" or "choice"
    low: float
    high: float
    default: float
    label: str = ""
    unit: str = ""
    log: bool = False
    choices: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    late: bool = False  # the plugin's latency follows it

    def param(self) -> Param:
        """The node's parameter. A change that affects latency needs a new plan."""
        name, doc, late = self.name, self.label, self.late
        match self.kind:
            case "switch":
                return Param(name, "switch", self.default > self.low, restart=late, doc=doc)
            case "choice":
                nearest = min(range(len(self.values)), key=lambda n: abs(self.values[n] - self.default))
                return Param(name, "choice", self.choices[nearest], choices=self.choices, restart=late, doc=doc)
            case "int":
                return Param(name, "int", round(self.default), self.low, self.high, self.unit, restart=late, doc=doc)
        warp: Literal["linear", "log"] = "log" if self.log else "linear"
        smooth = 0.0 if late else 0.005
        return Param(name, "float", self.default, self.low, self.high, self.unit, warp, smooth, restart=late, doc=doc)

    @property
    def trial_values(self) -> tuple[float, ...]:
        """Plugin values set in turn to find out what depends on the control."""
        return self.values or tuple(dict.fromkeys((self.low, self.high, round((self.low + self.high) / 2))))

    @property
    def first(self) -> float:
        """Plugin value of the parameter's default."""
        param = self.param()
        return self.number(param.encode(param.default))

    def number(self, encoded: float) -> float:
        """Converts an encoded parameter value to the plugin's value."""
        return self.values[int(encoded)] if self.values else encoded


@dataclass(frozen=True, slots=True)
class PluginCard:
    """Description of a third-party plugin.

    `ins`, `outs`, `side`: channels of its first input, first output, and side chain.
    """

    address: str  # "lv2:URI", "clap:ID" or "vst3:PATH"
    name: str = ""
    maker: str = ""
    problem: str = ""  # why it cannot be hosted, in a sentence's end; "" for one that can
    ins: int = 0
    outs: int = 0
    side: int = 0
    notes: bool = False  # it takes notes
    latency: int = 0  # frames at 48 kHz, as it reported with its defaults; see `HostedControl.late`
    library: str = ""  # path of its code
    controls: tuple[HostedControl, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)  # what its format needs to load it

    def to_json(self) -> dict[str, Any]:
        """The card as JSON data."""
        return {"version": VERSION, **asdict(self)}

    @staticmethod
    def of(data: Mapping[str, Any]) -> PluginCard:
        """Builds a card from `to_json` data."""
        rest = {name: value for name, value in data.items() if name not in ("version", "controls")}
        controls = (HostedControl(**item) for item in data["controls"])
        lists = (replace(c, choices=tuple(c.choices), values=tuple(c.values)) for c in controls)
        return PluginCard(**rest, controls=tuple(lists))


class ControlList:
    """Builds a plugin's controls: makes names unique and valid, and ranges usable."""

    def __init__(self) -> None:
        self.found: list[HostedControl] = []
        self._names: set[str] = set()

    def add(self, told: HostedControl, points: Sequence[tuple[str, float]] = ()) -> None:
        """Adds a control as its plugin declares it: name and range may be anything. `points`: names of its values."""
        low, high, default = (
            float(f"{max(-_MAX_VALUE, min(_MAX_VALUE, x)):.7g}") if x == x else x
            for x in (told.low, told.high, told.default)
        )
        low = low if not math.isnan(low) else 0.0
        high = high if not math.isnan(high) else max(1.0, low + 1.0)
        low, high = min(low, high), max(low, high)
        if told.kind == "int":
            low, high = float(math.ceil(low)), float(math.floor(high))
        if low >= high or len(self.found) >= MAX_CONTROLS:
            return
        default = min(max(default, low), high) if not math.isnan(default) else low
        label = " ".join(told.label.split())[:120]
        points = points[:MAX_CHOICES] if len(points) > 1 and told.kind != "switch" else ()
        found = replace(
            told, name=self._name(told.name), low=low, high=high, default=default, unit=told.unit[:16],
            label=label if label.endswith(".") else f"{label}.", log=told.log and low > 0.0 and told.kind == "float",
            values=(low, high) if told.kind == "switch" else tuple(value for _, value in points),
        )  # fmt: skip
        if points:
            words = (" ".join(text.split())[:60] or f"{value:g}" for text, value in points)
            found = replace(found, kind="choice", choices=_unique(words), log=False)
        self.found.append(found)

    def _name(self, symbol: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", symbol).strip("_-")[:48].lower() or "p"
        name = name if name[0].isalpha() else f"p{name}"
        while name in self._names or name in _TAKEN:
            match = re.fullmatch(r"(.*?)_?(\d*)", name)
            stem, number = match[1] if match else name, match[2] if match else ""
            name = f"{stem}_{int(number or 1) + 1}"
        self._names.add(name)
        return name


def struct(name: str, *fields: tuple[str, Any]) -> Any:
    """Defines a C structure type with these fields."""
    return type(name, (c.Structure,), {"_fields_": fields})


def _unique(labels: Iterable[str]) -> tuple[str, ...]:
    found: list[str] = []
    for label in labels:
        text, n = label, 2
        while text in found:
            text, n = f"{label} {n}", n + 1
        found.append(text)
    return tuple(found)
