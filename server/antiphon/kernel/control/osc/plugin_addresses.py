"""OSC addresses of plugins: checks a message's arguments against the declaration, and calls the handler."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.control.commands.executor import CommandExecutor
from antiphon.kernel.control.osc.arguments import Args
from antiphon.kernel.control.osc.directory import OWN_ROOTS, Directory
from antiphon.kernel.control.osc.route import AddressRoute
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import MissingArgument, RequestError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.commands import When
from antiphon.kernel.session.osc_request import OscRequest
from antiphon.kernel.session.transport_server import TransportServer
from antiphon.kernel.wire.osc import Arg, encode

log = logging.getLogger("antiphon.plugins")
_TAKES = {"i": "a whole number", "f": "a number", "d": "a number", "s": "a text", "b": "a blob"}


class PluginAddresses:
    """Routes messages to the handlers of plugins.

    Attributes:
        infos: The addresses; those whose first part is that of an address of Antiphon's own are left out.
    """

    def __init__(
        self, added: Iterable[AddressInfo], directory: Directory, executor: CommandExecutor, replies: Replies
    ) -> None:
        """Creates an empty table; `added` are the addresses of all plugins."""
        self._directory, self._executor, self._replies = directory, executor, replies
        self.infos = tuple(info for info in added if info.path.split("/")[1] not in OWN_ROOTS)

    def add(self, info: AddressInfo, handler: Callable[[OscRequest], Any], server: TransportServer) -> None:
        """Routes an address; one that is not among `infos` is left out, with a line in the log."""
        if info not in self.infos:
            log.warning("plugin %s: %s is among Antiphon's own addresses; rename the plugin", info.plugin, info.path)
            return

        def handle(peer: Peer, args: Args, when: When) -> None:
            def reply(address: str, *words: Arg) -> None:
                self._replies.reply(peer, encode(address, *words))

            answer = handler(OscRequest(server, check_args(info, args), peer.key, when, reply))
            for command in () if answer is None else answer if isinstance(answer, list | tuple) else (answer,):
                self._executor.do(command, peer.key)

        level = Level.SURFACE if info.surfaces else Level.OWNER
        self._directory.put(AddressRoute(info.path, handle, level, info.timed, usage=info.usage))


def check_args(info: AddressInfo, args: Args) -> Args:
    """Arguments as an address declares them: numbers converted, count and types checked.

    Raises:
        MissingArgument: A required one is missing.
        RequestError: There are too many, or one is of another type.
    """
    tags, required = info.types
    words = info.args.split()
    if len(args) < required:
        raise MissingArgument(f"{words[len(args)].partition(':')[2].rstrip('…')} is missing")
    repeated = tags[-1][0] if tags and tags[-1].endswith("…") else ""
    if len(args) > len(tags) and not repeated:
        raise RequestError(f"takes {info.args or 'no arguments'}; {len(args)} arguments were sent")
    return tuple(_checked(tags[at][0] if at < len(tags) else repeated, arg) for at, arg in enumerate(args))


def _checked(tag: str, arg: Arg) -> Arg:
    match tag:
        case "i" if isinstance(arg, int | float) and math.isfinite(arg) and arg == int(arg):
            return int(arg)
        case "f" | "d" if isinstance(arg, int | float) and math.isfinite(arg):
            return float(arg)
        case "s" if isinstance(arg, str):
            return arg
        case "b" if isinstance(arg, bytes):
            return arg
        case "x":
            return arg
    raise RequestError(f"takes {_TAKES[tag]}, not {short_repr(arg)}")
