"""Scenes: the values of all parameters under a number, stored, and recalled at once or in ramps, at a given time."""

from collections.abc import Iterator, Mapping

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.names import MACRO, SCENE_NAME
from antiphon.kernel.session.commands import SetParam, When
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import Scene

MAX_SCENES = 128


def capture(state: GraphState) -> Scene:
    """Present values of all settable parameters, readonly ones and triggers excluded."""
    return {
        f"{node.name}.{param.name}": state.value_at(node, cell)
        for node in (*state.panel.values(), *state.nodes.values())
        for cell, param in node.settable
    }


def recall_commands(scene: Mapping[str, Value], state: GraphState, seconds: float, when: When) -> Iterator[SetParam]:
    """Commands for values that differ from a scene's, ramps of `seconds`, macros first; missing nodes are skipped."""
    moved: set[str] = set()
    for key, value in sorted(scene.items(), key=lambda item: not item[0].startswith(f"{MACRO}.")):
        name, _, word = key.partition(".")
        node = state.every.get(name)
        cell = None if node is None else node.index.get(word)
        if node is None or cell is None:
            continue
        param = node.cells[cell]
        if key in moved or state.value_at(node, cell) != value:
            if name == MACRO:
                moved |= {target.key for target in state.graph.macros[cell].targets}
            yield SetParam(name, word, value, seconds if param.kind == "float" and not param.restart else 0.0, when)


def add_macro_positions(scene: Mapping[str, Value], state: GraphState) -> Scene:
    """Adds to a scene the positions of macros that it leaves out and whose first target it sets.

    The other targets of these macros are added too, with the scene's or their present value, so that they stay.
    """
    placed, left = Scene(), Scene()
    for macro in state.graph.macros:
        key, first = f"{MACRO}.{macro.name}", macro.targets[0]
        if key not in scene and first.key in scene:
            node, cell = state.param(first.node, first.param)
            placed[key] = round(first.place(node.cells[cell], scene[first.key]), 6)
            left |= {target.key: state.value(target.node, target.param) for target in macro.targets}
    return placed | left | dict(scene)


def drop_missing_nodes(scenes: Mapping[int, Scene], graph: Graph) -> dict[int, Scene]:
    """Returns the scenes without the values of nodes that are missing in the graph."""
    there = {*ENDS, MACRO, *(node.name for node in graph.nodes)}
    return {
        number: {key: value for key, value in scene.items() if key == SCENE_NAME or key.partition(".")[0] in there}
        for number, scene in scenes.items()
    }


def find_scene(scenes: Mapping[int, Scene], number: int) -> Scene:
    """The scene of that number; `RequestError`, which lists the stored ones, if there is none."""
    if number not in scenes:
        there = ", ".join(str(n) for n in sorted(scenes)) or "none"
        raise RequestError(f"there is no scene {number}; there are: {there}; /scene/store {number} makes one")
    return scenes[number]
