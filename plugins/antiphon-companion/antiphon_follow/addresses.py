"""OSC addresses of the nodes `follow`: corrections of the beat by a performer, and taps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from antiphon.api.backends.transports import Command, OscRequest, RequestError, SetParam

ADDRESSES = (
    ("half", "Halves the beat of every node `follow`."),
    ("double", "Doubles the beat of every node `follow`."),
    ("downbeat", "Begins a bar at the nearest beat of every node `follow`."),
    (
        "tap",
        "Taps. After two every node `follow` takes the nearest octave of its beat, half a beat on if need be.",
    ),
)
"""Triggers of the nodes, with a description of each."""
_TYPE = "follow"


def fire(name: str, request: OscRequest) -> list[Command]:
    """Commands that fire a trigger of every node `follow`. Raises RequestError: there is none."""
    return [SetParam(node, name, 1.0, when=request.when) for node in _nodes(request)]


def go(request: OscRequest) -> list[Command]:
    """Commands by which every node `follow` goes to a bar of its score.

    Raises RequestError: there is no such node, or the score has no such bar.
    """
    bar, nodes = int(str(request.args[0])), _nodes(request)
    for node in nodes:
        # known once the engine has read the score
        first, last = map(int, request.server.nodes()[node].vocabulary.get("from", (bar, bar)))
        if not first <= bar <= last:
            raise RequestError(f"the score of {node} has bars {first} to {last}, not {bar}")
    return [
        SetParam(node, name, value, when=request.when)
        for node in nodes
        for name, value in (("from", float(bar)), ("start", 1.0))
    ]


def _nodes(request: OscRequest) -> list[str]:
    nodes = [found for found, node in request.server.nodes().items() if node.info.type == _TYPE]
    if not nodes:
        raise RequestError("there is no node follow in the patch; load one that has it, or add it")
    return nodes


HANDLERS: tuple[tuple[str, str, Callable[[OscRequest], list[Command]], str], ...] = (
    *((f"/follow/{name}", "", partial(fire, name), doc) for name, doc in ADDRESSES),
    ("/follow/go", "i:bar", go, "Goes to a bar of the score by its printed number, in every node `follow`."),
)
"""Addresses with their arguments, handlers and descriptions."""
