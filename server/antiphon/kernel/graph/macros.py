"""Macros: up to eight controls of a patch over nodes' parameters, themselves parameters of a node `macro`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import ParamError, PatchError
from antiphon.kernel.graph.names import MACRO, NAME

MACRO_NUMBER = -3
"""Node number of `macro`, below those of `in` and `out`."""
MOST, MAX_TARGETS = 8, 16
"""Maximum macros of a patch, and maximum targets of a macro."""
CURVES = 0.1, 10.0
"""Range of a curve's exponent."""
KINDS = ("float", "int", "switch")
_KEYS = ("target", "low", "high", "curve")
_MEASURED = ("s", "Hz")
_SCALES = {
    "size": Param("size", low=0.2, high=10.0, warp="log"),
    "time": Param("time", low=0.005, high=1.0, warp="log"),
    "phaser": Param("phaser", low=0.02, high=8.0, warp="log"),
}
"""Values of macros in seconds or turns a second, where what they move has another unit: as in the patch `strudel`."""


@dataclass(frozen=True, slots=True)
class MacroTarget:
    """A parameter that a macro moves.

    `low`, `high`: its values where the macro is at 0 and at 1; low may be above high. `curve`: the exponent of the
    macro's place: 1 is straight in the parameter's own scale, above 1 slow at first.
    """

    node: str
    param: str
    low: float
    high: float
    curve: float = 1.0

    @property
    def key(self) -> str:
        """ "node.param"."""
        return f"{self.node}.{self.param}"

    def value(self, param: Param, place: float) -> Value:
        """Parameter value at macro position `place`, 0 to 1."""
        low, high = (param.to_norm(param.check(end)) for end in (self.low, self.high))
        return param.from_norm(min(1.0, max(0.0, low + (high - low) * math.pow(place, self.curve))))

    def place(self, param: Param, value: Value) -> float:
        """Macro position for a parameter value; the nearest one."""
        low, high = (param.to_norm(param.check(end)) for end in (self.low, self.high))
        share = (param.to_norm(value) - low) / (high - low) if high != low else 0.0
        return math.pow(min(1.0, max(0.0, share)), 1.0 / self.curve)


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro: its name and its targets."""

    name: str
    targets: tuple[MacroTarget, ...]

    def place(self, find: Callable[[str, str], Param], value: float) -> float:
        """Position at which its first target has a value; the nearest one. `find`: a node's parameter."""
        target = self.targets[0]
        param, scale = find(target.node, target.param), _SCALES.get(self.name)
        if scale is not None and param.unit not in _MEASURED:
            return round(scale.to_norm(scale.clip(value)), 6)
        return round(target.place(param, param.clip(value)), 6)


def macro_info(names: Iterable[str]) -> ProcessorInfo:
    """The declaration of the node `macro`: a parameter of 0 to 1 for each name."""
    names = tuple(names)
    params = tuple(Param(name, default=0.0, low=0.0, high=1.0, doc="A macro of the patch.") for name in names)
    return MacroInfo(" ".join((MACRO, *names)), "The patch's macros.", "antiphon", (), (), params)


class MacroInfo(ProcessorInfo):
    """Declaration without the host's parameters (bypass, mute, wet)."""

    __slots__ = ()

    @property
    def cells(self) -> tuple[Param, ...]:
        """Parameters of the node `macro`."""
        return self.params


def read_macro(name: str, body: object, find: Callable[[str], Param]) -> Macro:
    """Reads an entry of a patch's table `macros`.

    `body`: `["node.param", low, high]`, with a curve behind if wanted, or a table of target, low, high and curve, or a
    list of such. `find`: the parameter of "node.param", or a `PatchError`. Raises PatchError: it is not valid; the
    sentence begins with what the key "is" or "takes".
    """
    if not NAME.fullmatch(name):
        raise PatchError("is not a name: letters, digits, _ and -, a letter first, at most 64")
    one = isinstance(body, dict) or (isinstance(body, list) and bool(body) and isinstance(body[0], str))
    entries = [body] if one else body
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_TARGETS:
        raise PatchError(f'takes ["node.param", low, high], or a list of 1 to {MAX_TARGETS} of them')
    return Macro(name, tuple(_target(entry, find) for entry in entries))


def _target(entry: object, find: Callable[[str], Param]) -> MacroTarget:
    if isinstance(entry, dict):
        if unknown := [key for key in entry if key not in _KEYS]:
            raise PatchError(f"takes {', '.join(_KEYS)}, not {str(unknown[0])[:40]!r}")
        entry = [entry[key] for key in _KEYS if key in entry] if {*_KEYS[:3]} <= {*entry} else []
    if not isinstance(entry, list) or len(entry) not in (3, 4) or not isinstance(entry[0], str):
        raise PatchError('takes ["node.param", low, high], with a curve behind if wanted')
    key, *numbers = entry
    param = find(key)
    if param.readonly or param.restart or param.kind not in KINDS:
        raise PatchError(f"cannot move {key}: a macro moves numbers and switches that change while it plays")
    low, high, curve = *numbers[:2], numbers[2] if len(numbers) == 3 else 1.0
    try:
        low, high = (float(param.check(end)) for end in (low, high))
    except ParamError as error:
        raise PatchError(f"{key}: {error}") from None
    if isinstance(curve, bool) or not isinstance(curve, int | float) or not CURVES[0] <= curve <= CURVES[1]:
        raise PatchError(f"takes a curve of {CURVES[0]:g} to {CURVES[1]:g}, 1 for a straight one")
    node, _, name = key.partition(".")
    return MacroTarget(node, name, low, high, float(curve))


def macros_to_json(macros: Iterable[Macro]) -> dict[str, Any]:
    """Macros as in a patch file: lists of targets by name."""

    def row(target: MacroTarget) -> list[Any]:
        curve = [] if target.curve == 1.0 else [target.curve]
        return [target.key, target.low, target.high, *curve]

    return {m.name: row(m.targets[0]) if len(m.targets) == 1 else [row(t) for t in m.targets] for m in macros}


def macros_from_json(data: dict[str, Any]) -> tuple[Macro, ...]:
    """Macros from `macros_to_json` data; unchecked."""

    def target(row: list[Any]) -> MacroTarget:
        node, _, param = row[0].partition(".")
        return MacroTarget(node, param, *row[1:])

    return tuple(
        Macro(name, tuple(target(row) for row in ([body] if isinstance(body[0], str) else body)))
        for name, body in data.items()
    )


def without_node(macros: Iterable[Macro], name: str) -> tuple[Macro, ...]:
    """The macros without the targets of a node, and without those that have no others."""
    left = (Macro(m.name, tuple(t for t in m.targets if t.node != name)) for m in macros)
    return tuple(m for m in left if m.targets)
