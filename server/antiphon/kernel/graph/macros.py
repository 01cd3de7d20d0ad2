"""Macros: up to eight controls of a patch over nodes' parameters, themselves parameters of a node `macro`."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import ParamError, PatchError
from antiphon.kernel.graph.names import MACRO, NAME
from antiphon.kernel.runtime.shortening import is_finite_number

MACRO_NUMBER = -3
"""Node number of `macro`, below those of `in` and `out`."""
MOST, MAX_TARGETS, MAX_LABEL = 8, 16, 32
"""Maximum macros of a patch, maximum targets of a macro, and maximum characters of its label."""
CURVES = 0.1, 10.0
"""Range of a curve's exponent."""
KINDS = ("float", "int", "switch")
_KEYS = ("target", "low", "high", "curve", "values")


@dataclass(frozen=True, slots=True)
class MacroTarget:
    """A parameter that a macro moves.

    `low`, `high`: its values at macro positions 0 and 1; low may be above high. `curve`: exponent of the macro's
    position: 1 is linear in the parameter's own scale, above 1 starts slowly. `values`: the macro's own values at 0 and
    1, on a logarithmic scale, above 0, where it is set by value; None for those of the parameter.
    """

    node: str
    param: str
    low: float
    high: float
    curve: float = 1.0
    values: tuple[float, float] | None = None

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
    """One macro: its name, its targets, and its label, which is the displayed name; "" for the name itself."""

    name: str
    targets: tuple[MacroTarget, ...]
    label: str = ""

    @property
    def word(self) -> str:
        """Name and label as one word of the node `macro`'s type."""
        return f"{self.name}={quote(self.label)}" if self.label else self.name

    def place(self, find: Callable[[str, str], Param], value: float) -> float:
        """Position at which its first target has a value, or the nearest one. `find`: returns a node's parameter."""
        target = self.targets[0]
        if target.values is not None:
            low, high = target.values
            return round(math.log(min(max(value, low), high) / low, high / low), 6)
        param = find(target.node, target.param)
        return round(target.place(param, param.clip(value)), 6)


def macro_info(words: Iterable[str]) -> ProcessorInfo:
    """The declaration of the node `macro`: a parameter from 0 to 1 for each `Macro.word`, documented by its label."""
    words = tuple(words)
    split = [word.partition("=") for word in words]
    params = tuple(
        Param(name, default=0.0, low=0.0, high=1.0, doc=unquote(label) or "A macro of the patch.")
        for name, _, label in split
    )
    return MacroInfo(" ".join((MACRO, *words)), "The patch's macros.", "antiphon", (), (), params)


class MacroInfo(ProcessorInfo):
    """Declaration without the host's parameters (bypass, mute, wet)."""

    @cached_property
    def cells(self) -> tuple[Param, ...]:
        """Parameters of the node `macro`."""
        return self.params


def read_macro(name: str, body: object, find: Callable[[str], Param]) -> Macro:
    """Reads an entry of a patch's table `macros`.

    `body`: `["node.param", low, high]`, optionally followed by a curve and values, or a table of target, low, high,
    curve and values, or a list of these, optionally preceded by a label. `find`: returns the parameter of "node.param",
    or raises `PatchError`. Raises PatchError: it is not valid; the sentence begins with "is" or "takes".
    """
    if not NAME.fullmatch(name):
        raise PatchError("is not a name: letters, digits, _ and -, a letter first, at most 64")
    label, body = _label(body)
    one = isinstance(body, dict) or (isinstance(body, list) and bool(body) and isinstance(body[0], str))
    entries = [body] if one else body
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_TARGETS:
        raise PatchError(f'takes ["node.param", low, high], or a list of 1 to {MAX_TARGETS} of them')
    targets = tuple(_target(entry, find) for entry in entries)
    if any(target.values for target in targets[1:]):
        raise PatchError("takes values of its first parameter alone; write them there")
    return Macro(name, targets, label)


def _label(body: Any) -> tuple[str, Any]:
    """Splits an entry into its label, "" where it begins with a target, and the rest."""
    if not isinstance(body, list) or len(body) < 2 or not isinstance(body[0], str) or not isinstance(body[1], list):
        return "", body
    label = body[0]
    if not 1 <= len(label) <= MAX_LABEL or not label.isprintable() or label.endswith("."):
        raise PatchError(f"takes a label of 1 to {MAX_LABEL} characters, without a point at its end")
    return label, body[1:]


def _target(entry: object, find: Callable[[str], Param]) -> MacroTarget:
    if isinstance(entry, dict):
        if unknown := [key for key in entry if key not in _KEYS]:
            raise PatchError(f"takes {', '.join(_KEYS)}, not {str(unknown[0])[:40]!r}")
        given = {"curve": 1.0, "values": None} | entry
        entry = [given[key] for key in _KEYS] if len(given) == len(_KEYS) else []
    if not isinstance(entry, list) or not 3 <= len(entry) <= len(_KEYS) or not isinstance(entry[0], str):
        raise PatchError('takes ["node.param", low, high], with a curve and values behind if wanted')
    key, low, high, curve, values = (*entry, 1.0, None) if len(entry) == 3 else (*entry, None)[: len(_KEYS)]
    param = find(key)
    if param.readonly or param.restart or param.kind not in KINDS:
        raise PatchError(f"cannot move {key}: a macro moves numbers and switches that change while it plays")
    try:
        low, high = (float(param.check(end)) for end in (low, high))
    except ParamError as error:
        raise PatchError(f"{key}: {error}") from None
    if isinstance(curve, bool) or not isinstance(curve, int | float) or not CURVES[0] <= curve <= CURVES[1]:
        raise PatchError(f"takes a curve of {CURVES[0]:g} to {CURVES[1]:g}, 1 for a straight one")
    if values is not None:
        ends = values if isinstance(values, list) and all(map(is_finite_number, values)) else []
        if len(ends) != 2 or not 0 < ends[0] < ends[1]:
            raise PatchError("takes values = [low, high], two numbers above 0, the lower one first")
        values = float(ends[0]), float(ends[1])
    node, _, name = key.partition(".")
    return MacroTarget(node, name, low, high, float(curve), values)


def macros_to_json(macros: Iterable[Macro]) -> dict[str, Any]:
    """Returns macros as in a patch file: lists of targets by name."""

    def row(target: MacroTarget) -> list[Any]:
        behind: list[Any] = [target.curve, list(target.values)] if target.values else [target.curve]
        return [target.key, target.low, target.high, *([] if behind == [1.0] else behind)]

    def rows(macro: Macro) -> list[Any]:
        found = [row(target) for target in macro.targets]
        return [macro.label, *found] if macro.label else found if len(found) > 1 else found[0]

    return {macro.name: rows(macro) for macro in macros}


def macros_from_json(data: dict[str, Any]) -> tuple[Macro, ...]:
    """Macros from `macros_to_json` data; unchecked."""

    def target(row: list[Any]) -> MacroTarget:
        node, _, param = row[0].partition(".")
        return MacroTarget(node, param, *row[1:4], *(tuple(values) for values in row[4:]))

    found = []
    for name, body in data.items():
        label, rows = _label(body)
        targets = tuple(target(row) for row in ([rows] if isinstance(rows[0], str) else rows))
        found.append(Macro(name, targets, label))
    return tuple(found)


def without_node(macros: Iterable[Macro], name: str) -> tuple[Macro, ...]:
    """The macros without the targets of a node, and without those that have no others."""
    left = (replace(m, targets=tuple(t for t in m.targets if t.node != name)) for m in macros)
    return tuple(m for m in left if m.targets)
