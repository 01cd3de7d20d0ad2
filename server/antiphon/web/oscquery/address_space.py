"""Nodes as seen by OSCQuery's clients: change messages, and added and removed nodes."""

from __future__ import annotations

from collections.abc import Iterable

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.io_nodes import declaration
from antiphon.kernel.wire.osc import Arg
from antiphon.web.oscquery.query import has_norm

PATH_ADDED, PATH_REMOVED = "PATH_ADDED", "PATH_REMOVED"
"""OSCQuery's commands to its clients; nodes are never renamed."""


class AddressSpace:
    """The nodes as of the last `update`, with the declarations of their parameters."""

    def __init__(self, catalog: Catalog) -> None:
        """Starts without nodes; `catalog` has their types."""
        self._catalog = catalog
        self._types: dict[str, str] = {}
        self._params: dict[str, dict[str, Param]] = {}
        self._known = False

    def update(self, nodes: Iterable[NodeSpec]) -> list[tuple[str, str]]:
        """Updates the nodes, with `in` and `out`; returns the paths removed, then added, for clients.

        A node of another type is removed and added. Empty at the first call.
        """
        types, known = {node.name: node.type for node in nodes}, self._known
        before, self._types, self._known = self._types, types, True
        self._params = {}
        for node in nodes:
            info = declaration(node, self._catalog)
            self._params[node.name] = {param.name: param for param in (info.cells if info else ())}
        if not known:
            return []
        removed = [name for name, type_ in before.items() if types.get(name) != type_]
        added = [name for name, type_ in types.items() if before.get(name) != type_]
        return [(PATH_REMOVED, f"/node/{name}") for name in removed] + [(PATH_ADDED, f"/node/{name}") for name in added]

    def messages(self, address: str, args: tuple[Arg, ...]) -> list[tuple[str, tuple[Arg, ...]]]:
        """Messages for a control message to subscribers, in the types the tree declares.

        A switch is T or F, which is its TYPE, and a parameter with a norm is also sent to its `/norm`; any other
        message is unchanged.
        """
        _, _, rest = address.partition("/node/")
        node, _, name = rest.partition("/")
        param = self._params.get(node, {}).get(name)
        if param is None or len(args) != 1 or not isinstance(args[0], float | int | str):
            return [(address, args)]
        value = args[0]
        sent: list[tuple[str, tuple[Arg, ...]]] = [(address, (bool(value),) if param.kind == "switch" else args)]
        if has_norm(param):
            try:
                sent.append((f"{address}/norm", (param.to_norm(param.check(value)),)))
            except RequestError:
                pass  # a value of another type's parameter of this name, until the next update
        return sent
