"""Controls of a surface for a patch, by page, from the declarations of its nodes; the writers arrange them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.macros import macro_info
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import Patch

Kind = Literal["fader", "switch", "choice", "button", "xy"]
"""A fader sends a number, a switch 0 or 1, a choice the index of a word, a button its arguments once. An xy pad sends x
to its address, and y to the address in its arguments, of which the value of y follows."""
CAPTURED = 4
"""Bars of a capture made from a surface."""
MAX_CONTROLS = 12
"""Maximum controls of one page: two rows of six on a tablet, each wide enough for a thumb."""
KEYS = range(48, 72)
"""Notes of the keyboard: two octaves around middle C, in rows of one."""
ROW = 12
"""Keys per row: on a phone each is as wide as a thumb."""
BLACK = (1, 3, 6, 8, 10)
"""Black keys: a note's number modulo 12."""
COLOURS = ("#3aa6d9", "#4fbf8b", "#d9a43a", "#b07ad9", "#d97a5a", "#8fb83a", "#5a86d9", "#c96aa6")
"""Colours of the nodes' pages, in turn, as "#rrggbb"; all pages of a node share one."""
NEUTRAL = "#8a93a0"
"""Colour of pages without a node."""
MAX_TABS = 9
"""Maximum tabs per row: on a phone each is as wide as a thumb."""
SLOW, FAST = 40.0, 240.0
"""Range in bpm of the tempo fader: smaller than that of `/tempo`."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One control of a surface."""

    kind: Kind
    label: str
    address: str
    param: Param | None = None  # the parameter behind it: its range, unit and words; None for a button
    value: Value = 0.0
    arguments: tuple[float | int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `MAX_CONTROLS` controls under one heading."""

    name: str
    controls: tuple[Widget, ...] = ()
    keys: tuple[int, ...] = ()
    colour: str = NEUTRAL  # colour of its controls and its tab, as "#rrggbb"


@dataclass(frozen=True, slots=True)
class Tab:
    """A page, or several under one tab, named by the first and the last."""

    name: str
    pages: tuple[Page, ...]


def tabs(pages: Iterable[Page]) -> tuple[Tab, ...]:
    """Arranges pages in rows of at most `MAX_TABS` tabs, as far as two levels allow.

    A tab for each page if there are few; else one for the first two pages, one for each other page without a node (or
    one for all of these, if that is needed to fit the row), and one for each run of nodes' pages.
    """
    shown = tuple(pages)
    if len(shown) <= MAX_TABS:
        return tuple(Tab(page.name, (page,)) for page in shown)
    alone = [page for page in shown if page.colour == NEUTRAL]
    runs: list[tuple[Page, ...]] = []
    for _, of_node in groupby((page for page in shown if page.colour != NEUTRAL), _node):
        node = tuple(of_node)
        if runs and len(runs[-1]) + len(node) <= MAX_TABS:
            runs[-1] += node
        else:
            runs.append(node)
    first = 2 if len(runs) + len(alone) - 1 <= MAX_TABS else MAX_TABS
    together, alone = tuple(alone[:first]), alone[first:]
    return (
        *([Tab(_span(together[0].name, together[-1].name), together)] if together else []),
        *(Tab(page.name, (page,)) for page in alone),
        *(Tab(_span(_node(run[0]), _node(run[-1])), run) for run in runs),
    )


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} – {last}"


def _node(page: Page) -> str:
    name, _, number = page.name.rpartition(" ")
    return name if number.isdigit() else page.name


def pages(patch: Patch, catalog: Catalog) -> tuple[Page, ...]:
    """Divides a patch's controls into pages, at least one.

    Pages: common controls; a pad for the first two macros, recording and the set; the macros and the patch's
    MIDI-controlled parameters; the keyboard; then one or more for each node. Parameters that are text, files or
    read-only have no control.
    """
    divided = [Page("stage", _stage(patch)), Page("set", _set(patch, catalog))]
    if chosen := (*_macros(patch, catalog), *_chosen(patch, catalog)):
        divided.append(Page("play", chosen[:MAX_CONTROLS]))
    if any(catalog[node.type].first("events", "in") is not None for node in patch.graph.nodes):
        divided.append(Page("keyboard", keys=tuple(KEYS)))
    for place, node in enumerate(patch.graph.nodes):
        cells = catalog[node.type].cells
        # a type's own parameters before the host's three
        ordered = (*cells[3:], *cells[:3])
        controls = [c for p in ordered if (c := _control(node.name, p, node.values.get(p.name, p.default)))]
        count = -(-len(controls) // MAX_CONTROLS)
        for number in range(count):
            # equal parts: no page with two controls behind one with twelve
            first, last = (len(controls) * n // count for n in (number, number + 1))
            name = node.name if count == 1 else f"{node.name} {number + 1}"
            colour = COLOURS[place % len(COLOURS)]
            divided.append(Page(name, tuple(controls[first:last]), colour=colour))
    return tuple(divided)


def _macros(patch: Patch, catalog: Catalog) -> tuple[Widget, ...]:
    nodes = {node.name: node for node in patch.graph.nodes}
    faders = []
    for macro, param in zip(patch.graph.macros, macro_info(m.word for m in patch.graph.macros).params, strict=True):
        target = macro.targets[0]
        declared = next(cell for cell in catalog[nodes[target.node].type].cells if cell.name == target.param)
        place = target.place(declared, nodes[target.node].values.get(target.param, declared.default))
        faders.append(Widget("fader", macro.label or macro.name, f"/node/{MACRO}/{macro.name}", param, place))
    return tuple(faders)


def _set(patch: Patch, catalog: Catalog) -> tuple[Widget, ...]:
    """A pad for the first two macros, recording, capture, and buttons to step through a set."""
    pad = []
    if len(both := _macros(patch, catalog)[:2]) == 2:
        x, y = both
        label, second = f"{x.label}, {y.label} up", (y.address, float(y.value))
        pad = [replace(x, kind="xy", label=label, arguments=second)]
    return (
        *pad,
        Widget("button", "record", "/record/start"),
        Widget("button", "record stop", "/record/stop"),
        Widget("button", "capture", "/capture", arguments=(CAPTURED,)),
        Widget("button", "redo", "/patch/redo"),
        Widget("button", "previous", "/set/previous"),
        Widget("button", "next", "/set/next"),
    )


def _chosen(patch: Patch, catalog: Catalog) -> tuple[Widget, ...]:
    nodes = {node.name: node for node in patch.graph.nodes}
    found: dict[str, Widget] = {}
    for control, target in patch.midi.items():
        name, _, param = target.partition(".")
        if control == "out" or name not in nodes:
            continue
        declared = next((cell for cell in catalog[nodes[name].type].cells if cell.name == param), None)
        if declared is not None:
            value = nodes[name].values.get(param, declared.default)
            widget = _control(name, declared, value)
            if widget is not None:
                found[target] = replace(widget, label=f"{name} {param}")
    return tuple(found.values())[:MAX_CONTROLS]


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
    """Input and output level, tempo, panic, transport, undo, and scenes in the remaining space."""
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
