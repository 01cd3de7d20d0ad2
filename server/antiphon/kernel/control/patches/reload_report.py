"""Printed report of a reloaded patch file: its differences from the patch before."""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.kernel.contract.params import Value
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.runtime.shortening import shorten

MOST = 4
"""Maximum listed changes, so that they fit in a line; the rest is counted."""


def reload_line(was: Patch | None, now: Patch, file: str, *, mended: bool) -> str:
    """Describes a reload, for example "reloaded demo.toml: echo.feedback 0.4".

    `was`: the previous patch, None for none; `mended`: the file's previous version was invalid.
    """
    differences = list(changes(was, now)) if was is not None else []
    more = [f"and {len(differences) - MOST} more"] if len(differences) > MOST else []
    named = ", ".join([*differences[:MOST], *more])
    return f"reloaded {file}{' after the error' if mended else ''}{': ' if named else ''}{named}"


def changes(was: Patch, now: Patch) -> Iterator[str]:
    """The differences in nodes, values, wires, tempo, scenes and MIDI, each in a few words."""
    before, after = _nodes(was.graph), _nodes(now.graph)
    yield from (f"{name} removed" for name in before if name not in after)
    for name, (kind, values) in after.items():
        if name not in before or before[name][0] != kind:
            yield f"{name} added" if name not in before else f"{name} is a {kind}"
            continue
        old = before[name][1]
        for key in {**values, **old}:
            if values.get(key) != old.get(key):
                yield f"{name}.{key} {_value_text(values[key])}" if key in values else f"{name}.{key} at its default"
    if set(was.graph.wires) != set(now.graph.wires):
        yield "wires"
    if was.tempo != now.tempo:
        yield f"tempo {now.tempo:g}"
    for what in ("scenes", "clips", "midi"):
        if getattr(was, what) != getattr(now, what):
            yield what


def _nodes(graph: Graph) -> dict[str, tuple[str, dict[str, Value]]]:
    return {node.name: (node.type, dict(node.values)) for node in graph.nodes}


def _value_text(value: Value) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
    return shorten(str(value))
