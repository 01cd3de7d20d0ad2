"""All OSC addresses: the fixed ones, as the handlers' modules declare them, those of the present nodes, and of plugins.

A message to a plugin's address has its arguments checked against the declaration before the handler is called.
"""

import asyncio
import inspect
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.control.commands.executor import CommandExecutor
from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.osc.arguments import Address, Args
from antiphon.kernel.control.osc.handlers import graph, live, scenes, server, time
from antiphon.kernel.control.osc.intake import AddressRoute, Handler
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import AntiphonError, EngineBusy, MissingArgument, RequestError
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.shortening import check_number, count_of, short_repr
from antiphon.kernel.session.commands import When
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.transport_server import OscRequest, TransportServer
from antiphon.kernel.wire.osc import Arg, encode

_HERE = [one for room in (server, graph, scenes, time, live) for one in vars(room).values()]
_LISTED = [one if isinstance(one, tuple) else (one,) for one in _HERE]
ADDRESSES = tuple(one for some in _LISTED for one in some if isinstance(one, Address))
NODES = frozenset({"node", MACRO})
"""First parts of the addresses of nodes."""


class Directory:
    """Fills the router.

    `router`: routes of all addresses; `roots`: first parts of all addresses; `fixed`: those of no node and no plugin.
    """

    def __init__(self, app: OscServer) -> None:
        """Adds the kernel's fixed addresses; their handlers use `app` only when called."""
        self._server, self.router, self.roots = app, app.router, app.roots
        self.roots |= NODES
        self.fixed: list[Address] = []
        self.add(ADDRESSES)
        self._routed: dict[str, tuple[int, str]] = {}  # number and type of each node with addresses

    def add(self, items: Iterable[Address]) -> None:
        """Adds fixed addresses."""
        for item in items:
            self.fixed.append(item)
            check = item.bind(self._server, checks=True)
            # no pattern reaches what acts: a script's line that is meant for values would fire it
            self.put(item, item.bind(self._server), check, at_once=item.at_once, patterns=item.asks)

    def is_own(self, path: str) -> bool:
        """Whether an address begins as those of nodes, or a fixed one."""
        root = path.split("/")[1]
        return root in NODES or any(root == item.path.split("/")[1] for item in self.fixed)

    def put(
        self, item: AddressInfo, handler: Handler, check: Handler, *, at_once: bool = False, patterns: bool = False
    ) -> None:
        """Adds a declared address. `patterns`: whether OSC patterns reach it."""
        level = Level.SURFACE if item.surfaces else Level.OWNER
        edits = not (item.timed or at_once or item.path == live.AT)
        route = AddressRoute(
            item.path, handler, level, item.timed, at_once=at_once, usage=item.usage, check=check, edits=edits
        )
        self.roots.add(item.path.split("/")[1])
        self.router.put(item.path.encode(), route, patterns=patterns)

    def follow(self, state: GraphState) -> None:
        """Updates the addresses after nodes were added or removed."""
        nodes = state.every
        now = {name: (node.id, node.info.type) for name, node in nodes.items()}
        gone = [name for name, was in self._routed.items() if now.get(name) != was]
        if gone:
            macros = [f"/{MACRO}".encode()] if MACRO in gone else []
            self.router.drop(*(f"/node/{name}".encode() for name in gone), *macros)
        kept, self._routed = self._routed.keys() - set(gone), now
        for name, node in nodes.items():
            if name not in kept:
                for route in graph.node_routes(self._server, node):
                    # master volume and input gain must not follow a pattern that is meant for nodes, nor must macros
                    reached = name in state.nodes or route.address.startswith(f"/{MACRO}/")
                    self.router.put(route.address.encode(), route, patterns=route.is_value and reached)


log = logging.getLogger("antiphon.plugins")
MAX_CONCURRENT = 4
"""Maximum concurrent async messages per plugin; a further one is refused."""
_TAKES = {"i": "a whole number", "f": "a number", "d": "a number", "s": "a text", "b": "a blob"}


class PluginAddresses:
    """Routes messages to the handlers of plugins. `infos`: the addresses that are routed."""

    def __init__(
        self, directory: Directory, executor: CommandExecutor, replies: Replies, syncs: Syncs, faults: ControlFaults
    ) -> None:
        """Creates an empty table."""
        self._directory, self._executor, self._replies = directory, executor, replies
        self._syncs, self._faults = syncs, faults
        self._open: dict[asyncio.Task[None], tuple[str, str]] = {}  # plugin, key of the sender
        syncs.busy.append(lambda peer: any(key == peer.key for _, key in self._open.values()))
        self.infos: list[AddressInfo] = []

    def add(self, info: AddressInfo, handler: Callable[[OscRequest], Any], server: TransportServer) -> None:
        """Routes an address; one that begins as Antiphon's own is left out, with a line in the log."""
        if self._directory.is_own(info.path):
            log.warning("plugin %s: %s is among Antiphon's own addresses; rename the plugin", info.plugin, info.path)
            return

        def handle(peer: Peer, args: Args, when: When) -> None:
            def reply(address: str, *words: Arg) -> None:
                self._replies.reply(peer, encode(address, *words))

            answer = handler(OscRequest(server, check_args(info, args), peer.key, when, reply))
            if inspect.iscoroutine(answer):
                self._begin(info, peer, answer)
            else:
                self._execute_commands(answer, peer)

        def check(peer: Peer, args: Args, when: When) -> None:
            check_args(info, args)

        self._directory.put(info, handle, check)
        self.infos.append(info)

    def _execute_commands(self, answer: Any, peer: Peer) -> None:
        for command in () if answer is None else answer if isinstance(answer, list | tuple) else (answer,):
            self._executor.do(command, peer.key)

    def _begin(self, info: AddressInfo, peer: Peer, work: Coroutine[Any, Any, Any]) -> None:
        """Starts an async handler as a task; a sender's `/synced` comes after its answer."""
        if Counter(plugin for plugin, _ in self._open.values())[info.plugin] >= MAX_CONCURRENT:
            work.close()
            raise EngineBusy(f"{MAX_CONCURRENT} such questions are open already; wait for the answer")
        task = asyncio.get_running_loop().create_task(self._finish(info.path, peer, work), name=info.path)
        self._open[task] = info.plugin, peer.key
        task.add_done_callback(self._ended)

    async def _finish(self, path: str, peer: Peer, work: Coroutine[Any, Any, Any]) -> None:
        try:
            self._execute_commands(await work, peer)
        except AntiphonError as error:
            self._replies.fail(peer, path, str(error))
        except Exception as error:
            self._faults.add(f"a message to {path}", error)
            self._replies.fail(peer, path, "it failed; see the server's log")

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        self._syncs.release()
        self._replies.send()


def check_args(info: AddressInfo, args: Args) -> Args:
    """Arguments as an address declares them: numbers converted, count and types checked."""
    tags, required = info.types
    words = info.args.split()
    if len(args) < required:
        raise MissingArgument(f"{words[len(args)].partition(':')[2].rstrip('…')} is missing")
    repeated = tags[-1][0] if tags and tags[-1].endswith("…") else ""
    if len(args) > len(tags) and not repeated:
        raise RequestError(f"takes {info.args or 'no arguments'}; it came with {count_of(len(args), 'argument')}")
    return tuple(_check_arg(tags[at][0] if at < len(tags) else repeated, words[min(at, len(words) - 1)], arg)
                 for at, arg in enumerate(args))  # fmt: skip


def _check_arg(tag: str, word: str, arg: Arg) -> Arg:
    name = word.partition(":")[2].rstrip("…]")
    if tag in "ifd":
        number = int(arg) if isinstance(arg, bool) else arg
        return check_number(number, name, -math.inf, math.inf, whole=tag == "i", takes=_TAKES[tag])  # type: ignore[no-any-return]
    if tag != "x" and not isinstance(arg, str if tag == "s" else bytes):
        raise RequestError(f"{name} takes {_TAKES[tag]}, not {short_repr(arg)}")
    return arg
