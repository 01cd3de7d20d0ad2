"""Commands of a file or a script, as the engine's actions for an off-line player."""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, suggest_parameters
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import declaration, nodes_outside_plan
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import Action, Changed, EngineLoad, TempoChanged
from antiphon.kernel.session.commands import Command, SetParam
from antiphon.kernel.session.node_state import SLOTS
from antiphon.kernel.session.schedule import Moment
from antiphon.kernel.session.session import Session
from antiphon.offline.event_file import at_beginning, is_fixed

_ALL_DUE = Moment(math.inf, math.inf)


def settle(graph: Graph, catalog: Catalog, commands: Sequence[Command]) -> tuple[Graph, list[Command]]:
    """Sets initial values that need a new plan: texts, `restart`. Raises ParamError: a value is not allowed."""
    nodes, rest = {node.name: node for node in graph.nodes}, list[Command]()
    for command in commands:
        param = None
        if isinstance(command, SetParam) and command.node in nodes and at_beginning(command.when):
            cells = catalog[nodes[command.node].type].cells
            param = next((p for p in cells if p.name == command.param and is_fixed(p)), None)
        if param is None:
            rest.append(command)
        else:
            assert isinstance(command, SetParam)
            node = nodes[command.node]
            nodes[node.name] = replace(node, values={**node.values, param.name: param.check(command.value)})
    return replace(graph, nodes=tuple(nodes.values())), rest


def convert_to_actions(
    graph: Graph, catalog: Catalog, rate: int, commands: Iterable[Command]
) -> tuple[dict[str, int], list[Action]]:
    """Converts commands to engine actions by a session, as live; returns every node's number, and the actions in order.

    Raises ParamError: a value is not allowed. Raises RequestError: there is no such node or parameter, or no node takes
    a note. Raises UsageError: a parameter cannot change without a new plan.
    """
    session = Session(catalog, array("d", bytes(8 * SLOTS)), rate)
    (load,) = [effect for effect in session.state.load(graph, "") if isinstance(effect, EngineLoad)]
    session.state.confirm(load.serial, 0.0)
    actions: list[Action] = []
    for command in commands:
        for effect in session.handle(command, _ALL_DUE):
            if isinstance(effect, EngineLoad):
                raise UsageError(f"{command} cannot change while a file plays; set it in the patch")
            if not isinstance(effect, Changed | TempoChanged):
                actions.append(effect if effect.when is command.when else replace(effect, when=command.when))
    return load.ids, actions


def param_finder(graph: Graph, catalog: Catalog) -> Callable[[str, str], Param]:
    """Function that looks up a parameter by node and name, and raises UsageError if there is none."""
    infos = [(node.name, declaration(node, catalog)) for node in (*graph.nodes, *nodes_outside_plan(graph))]
    nodes = {name: info.by_name for name, info in infos if info is not None}

    def find(node: str, name: str) -> Param:
        if node not in nodes:
            raise UsageError(f"there is no node {node!r}{instead(node, nodes)}")
        if name not in nodes[node]:
            raise UsageError(f"{node} has no parameter {name!r}{suggest_parameters(name, nodes[node].values())}")
        return nodes[node][name]

    return find
