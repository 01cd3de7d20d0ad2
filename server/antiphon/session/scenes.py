"""Scenes: values of parameters under a number, stored, recalled at once or morphed to, on a beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from antiphon.contract.params import Value
from antiphon.errors import WireError
from antiphon.graph.graph import Graph
from antiphon.graph.io_nodes import ENDS
from antiphon.session.commands import SetParam, When
from antiphon.session.nodes import Nodes

MAX_SCENES = 128
Scene = dict[str, Value]
"""\"node.param\" → value."""


def stored(nodes: Nodes) -> Scene:
    """Every value that can be recalled, as it is asked for now."""
    scene: Scene = {}
    for node in nodes.nodes.values():
        for cell, param in enumerate(node.cells):
            if not param.readonly and param.kind != "trigger":
                scene[f"{node.name}.{param.name}"] = nodes.value_at(node, cell)
    return scene


def recalled(scene: Mapping[str, Value], nodes: Nodes, seconds: float, when: When) -> Iterator[SetParam]:
    """The commands that bring a scene back; what is of a node that has gone is passed over.

    seconds: numbers are ramped over so many; all else changes at once.
    """
    for key, value in scene.items():
        name, _, word = key.partition(".")
        node = nodes.every.get(name)
        cell = None if node is None else node.index.get(word)
        if node is None or cell is None:
            continue
        param = node.cells[cell]
        if nodes.value_at(node, cell) != value:
            yield SetParam(name, word, value, seconds if param.kind == "float" and not param.restart else 0.0, when)


def kept(scenes: Mapping[int, Scene], graph: Graph) -> dict[int, Scene]:
    """The scenes without what is of nodes that the graph has not."""
    there = {*ENDS, *(node.name for node in graph.nodes)}
    return {
        number: {key: value for key, value in scene.items() if key.partition(".")[0] in there}
        for number, scene in scenes.items()
    }


def known(scenes: Mapping[int, Scene], number: int) -> Scene:
    """The scene of that number, or `WireError` with those there are."""
    if number not in scenes:
        there = ", ".join(str(n) for n in sorted(scenes)) or "none"
        raise WireError(f"there is no scene {number}; there are: {there}; /scene/store {number} makes one")
    return scenes[number]
