"""Which addresses there are: the fixed ones, and those of the nodes as they come and go."""

from __future__ import annotations

from functools import partial

from antiphon.control.osc.addresses import ADDRESSES, OscServer
from antiphon.control.osc.handle_graph import node_routes
from antiphon.control.osc.route import AddressRoute
from antiphon.session.router import Router
from antiphon.session.session import Session


class Directory:
    """router: what the intake asks.  roots: the first parts of all addresses."""

    roots = frozenset({"node", *(item.path.split("/")[1] for item in ADDRESSES)})

    def __init__(self, server: OscServer) -> None:
        """server: what the handlers act on; used when one is called, not before."""
        self._server = server
        self.router: Router[AddressRoute] = Router()
        for item in ADDRESSES:
            handler = partial(item.handler, server)
            route = AddressRoute(item.path, handler, item.level, item.timed, at_once=item.at_once)
            self.router.put(item.path.encode(), route)
        self._routed: dict[str, int] = {}

    def follow(self, session: Session) -> None:
        """Gives new nodes their addresses and takes those of gone ones away."""
        nodes = session.every
        for name, number in list(self._routed.items()):
            if name not in nodes or nodes[name].id != number:
                self.router.drop(f"/node/{name}".encode())
                del self._routed[name]
        for name, node in nodes.items():
            if name not in self._routed:
                for route in node_routes(self._server, node):
                    # the two ends of the graph are the performer's: no pattern meant for nodes reaches them
                    self.router.put(route.address.encode(), route, patterns=name in session.nodes)
                self._routed[name] = node.id
