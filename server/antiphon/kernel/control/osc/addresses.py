"""All OSC addresses: the fixed ones, as the handlers' modules declare them, and those of the present nodes."""

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.control.osc.arguments import Address
from antiphon.kernel.control.osc.handlers import graph, learn, live, server, sets, time
from antiphon.kernel.control.osc.intake import AddressRoute, Handler
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.session.graph_state import GraphState

_HERE = [one for room in (server, graph, sets, learn, time, live) for one in vars(room).values()]
_LISTED = [one if isinstance(one, tuple) else (one,) for one in _HERE]
ADDRESSES = tuple(one for some in _LISTED for one in some if isinstance(one, Address))
OWN_ROOTS = frozenset({"node", MACRO, *(item.path.split("/")[1] for item in ADDRESSES)})
"""First parts of Antiphon's own addresses."""


class Directory:
    """Fills the router. `router`: routes of all addresses; `roots`: first parts of all addresses."""

    def __init__(self, app: OscServer) -> None:
        """Adds the fixed addresses; their handlers use `app` only when called."""
        self._server, self.router, self.roots = app, app.router, app.roots
        self.roots |= OWN_ROOTS
        for item in ADDRESSES:
            self.put(item, item.bound(app), at_once=item.at_once)
        self._routed: dict[str, int] = {}

    def put(self, item: AddressInfo, handler: Handler, *, at_once: bool = False) -> None:
        """Adds a declared address."""
        level = Level.SURFACE if item.surfaces else Level.OWNER
        route = AddressRoute(item.path, handler, level, item.timed, at_once=at_once, usage=item.usage)
        self.roots.add(item.path.split("/")[1])
        # no pattern hands a script over: what looks for those addresses would not see it
        self.router.put(item.path.encode(), route, patterns=not item.path.startswith(live.CODE))

    def follow(self, state: GraphState) -> None:
        """Updates the addresses after nodes were added or removed."""
        nodes = state.every
        for name, number in list(self._routed.items()):
            if name not in nodes or nodes[name].id != number or name == MACRO:
                self.router.drop(f"/node/{name}".encode())
                if name == MACRO:
                    self.router.drop(f"/{MACRO}".encode())
                del self._routed[name]
        for name, node in nodes.items():
            if name not in self._routed:
                for route in graph.node_routes(self._server, node):
                    # master volume and input gain must not follow a pattern that is meant for nodes
                    self.router.put(route.address.encode(), route, patterns=name in state.nodes)
                self._routed[name] = node.id
