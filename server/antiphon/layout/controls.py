"""The controls of a surface for a patch, by page, from the declarations of its nodes; the writers place them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from antiphon.contract.catalog import Catalog
from antiphon.contract.params import Param, Value
from antiphon.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.graph.io_nodes import ENDS
from antiphon.graph.patch import Patch

Kind = Literal["fader", "switch", "choice", "button"]
"""A fader sends a number, a switch 0 or 1, a choice the index of a word, a button its arguments once."""
MAX_CONTROLS = 12
"""Controls of one page: two rows of six on a tablet, each wide enough for a thumb."""
KEYS = range(48, 65)
"""Notes of the keyboard: an octave and a third around middle C."""
BLACK = (1, 3, 6, 8, 10)
"""Black keys: a note's number modulo 12."""
SLOW, FAST = 40.0, 240.0
"""Range in bpm of the tempo's fader: `/tempo` takes more than anybody plays."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One control.

    Attributes:
        kind: What it is.
        label: For the performer.
        address: OSC address that it sends to, and whose feedback it shows.
        param: The parameter behind it: its range, unit and words; None for a button.
        value: At first.
        arguments: What a button sends.
    """

    kind: Kind
    label: str
    address: str
    param: Param | None = None
    value: Value = 0.0
    arguments: tuple[float | int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `MAX_CONTROLS` controls under one heading; `keys` are notes, for a page that is a keyboard."""

    name: str
    controls: tuple[Widget, ...] = ()
    keys: tuple[int, ...] = ()


def pages(patch: Patch, catalog: Catalog) -> tuple[Page, ...]:
    """Divides a patch's controls into pages: what is always needed, the keyboard, then a page or more for each node.

    Args:
        patch: The patch.
        catalog: Types of its nodes.

    Returns:
        At least one page. Text, files and what nodes report have no control.
    """
    divided = [Page("stage", _stage(patch))]
    if any(catalog[node.type].first("events", "in") is not None for node in patch.graph.nodes):
        divided.append(Page("keyboard", keys=tuple(KEYS)))
    for node in patch.graph.nodes:
        cells = catalog[node.type].cells
        controls = [c for p in _own_first(cells) if (c := _control(node.name, p, node.values.get(p.name, p.default)))]
        count = -(-len(controls) // MAX_CONTROLS)
        for number in range(count):
            # equal parts: no page with two controls behind one with twelve
            first, last = (len(controls) * n // count for n in (number, number + 1))
            name = node.name if count == 1 else f"{node.name} {number + 1}"
            divided.append(Page(name, tuple(controls[first:last])))
    return tuple(divided)


def _own_first(cells: tuple[Param, ...]) -> Iterator[Param]:
    """A type's own parameters, then the three that every node has."""
    shared = 3
    yield from cells[shared:]
    yield from cells[:shared]


def _control(node: str, param: Param, value: Value) -> Widget | None:
    address = f"/node/{node}/{param.name}"
    if param.readonly:
        return None
    match param.kind:
        case "float" | "int":
            return Widget("fader", param.name, address, param, value)
        case "switch":
            return Widget("switch", param.name, address, param, value)
        case "choice":
            return Widget("choice", param.name, address, param, value)
        case "trigger":
            return Widget("button", param.name, address, arguments=(1,))
    return None


def _stage(patch: Patch) -> tuple[Widget, ...]:
    """Input and output level, tempo, panic, transport, undo, and the scenes that fit."""
    levels = [
        Widget("fader", f"{name} {param.name}", f"/node/{name}/{param.name}", param, param.default)
        for name, (_, info) in ENDS.items()
        for param in info.params
    ]
    tempo = Param("tempo", "float", 120.0, max(SLOW, MIN_TEMPO), min(FAST, MAX_TEMPO), unit="bpm")
    always = [
        *levels,
        Widget("fader", "tempo", "/tempo", tempo, min(max(patch.tempo, tempo.low), tempo.high)),
        Widget("button", "panic", "/panic"),
        Widget("button", "play", "/transport/play"),
        Widget("button", "stop", "/transport/stop"),
        Widget("button", "undo", "/patch/undo"),
        # a surface that sends this gets feedback at the port it listens at, where it is the one it sends from
        Widget("button", "feedback", "/notify", arguments=(1,)),
    ]
    scenes = [
        Widget("button", f"scene {number}", "/scene/recall", arguments=(number,)) for number in sorted(patch.scenes)
    ]
    return tuple((always + scenes)[:MAX_CONTROLS])
