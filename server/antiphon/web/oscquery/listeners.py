"""OSCQuery's LISTEN: sends WebSocket clients the changed values of the OSC addresses that they name.

The client sends `{"COMMAND": "LISTEN", "DATA": "/node/echo/wet"}`, or IGNORE to end that, and receives each change as a
binary OSC packet. Of several pending changes of an address only the last is sent, so that a client that reads slowly
costs at most one packet for each address. Nodes that come and go are sent to every client, by PATH_ADDED and
PATH_REMOVED. A binary message of the client is an OSC packet for the server, as over UDP.

The address /api/jobs is for jobs on files: each change of a job is sent as {"COMMAND": "JOB", "DATA": {...}}, and
{"COMMAND": "FILES"} means that a file was added or removed, or a job was deleted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import RequestError, WireError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.io_nodes import declaration
from antiphon.kernel.runtime.typed import parse_json
from antiphon.kernel.wire.osc import Arg, encode
from antiphon.web.http_message import HttpRefusal
from antiphon.web.osc_socket import ValueSubscription
from antiphon.web.oscquery.query import has_norm
from antiphon.web.protocol.websocket import WebSocket

if TYPE_CHECKING:
    from antiphon.web.control_link import ControlLink


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

        A node with a new type is removed and added. Returns an empty list at the first call.
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
        """Converts a message of control to subscribers, with the types that the tree declares.

        A switch becomes T or F, its TYPE, and a parameter with a norm is also sent to its `/norm`; other messages are
        unchanged.
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


JOBS = "/api/jobs"
"""LISTEN address of jobs."""
FILES = "FILES"
"""Command about the list of files; it is no job's key."""
MAX_LISTENERS = 32
MAX_ADDRESSES = 1024
"""Maximum addresses of one client."""
MAX_ADDRESS = 256
"""Maximum characters of an address; names of nodes and parameters have 64 at most."""
STRUCTURE = "/patch/loaded"
"""Event after which nodes may differ."""


class WebListener:
    """One WebSocket client.

    `pending`: unsent last packet of each address, or text of each job. `paths`: unsent commands about each path, at
    most a removal and an addition.
    """

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.pending: dict[str, bytes | str] = {}
        self.paths: dict[str, list[str]] = {}
        self.more = asyncio.Event()

    def command(self, text: str) -> str:
        """Handles a client's JSON with COMMAND and DATA; returns the reason of a refusal, or ""."""
        try:
            fields = parse_json(text)
            command, address = fields["COMMAND"], fields["DATA"]
        except (ValueError, TypeError, KeyError):
            return 'a message is {"COMMAND": "LISTEN" or "IGNORE", "DATA": "/an/address"}'
        if command not in ("LISTEN", "IGNORE"):
            return "a COMMAND is LISTEN or IGNORE"
        if not isinstance(address, str) or not address.startswith("/") or len(address) > MAX_ADDRESS:
            return f"DATA is an address that begins with /, of at most {MAX_ADDRESS} characters"
        if command == "IGNORE":
            self.addresses.discard(address)
        elif len(self.addresses) >= MAX_ADDRESSES and address not in self.addresses:
            return f"a client listens to at most {MAX_ADDRESSES} addresses"
        else:
            self.addresses.add(address)
        return ""

    def change(self, address: str, packet: bytes) -> None:
        """Queues a change, if the client listens to its address."""
        if address in self.addresses:
            self.pending[address] = packet
            self.more.set()

    def job(self, key: str, text: str) -> None:
        """Queues a job's change, if the client listens to jobs."""
        if JOBS in self.addresses:
            self.pending[key] = text
            self.more.set()

    def queue_path(self, command: str, path: str) -> None:
        """Queues the command about a removed or added path."""
        removal = [command for command in self.paths.get(path, []) if command == PATH_REMOVED]
        self.paths[path] = [command] if command == PATH_REMOVED else [*removal, command]
        self.more.set()

    def take(self) -> list[str | bytes]:
        """Removes and returns the pending messages: commands as text, then packets."""
        paths, self.paths = self.paths, {}
        pending, self.pending = self.pending, {}
        commands = [json.dumps({"COMMAND": name, "DATA": path}) for path, names in paths.items() for name in names]
        return [*commands, *pending.values()]


class Listeners:
    """All clients. While there are any, this process is subscribed to control's changes."""

    def __init__(self, control: ControlLink | None) -> None:
        """Without `control` (in tests) there are no changes."""
        self._all: dict[WebListener, asyncio.Task[Any] | None] = {}
        self._control = control
        self._changes = None if control is None else ValueSubscription(control.osc, self._changed)
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self.space: AddressSpace | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def has_room(self) -> bool:
        """True if another client may connect."""
        return len(self._all) < MAX_LISTENERS

    async def serve(self, socket: WebSocket) -> None:
        """Serves one client until it disconnects."""
        listener = WebListener()
        self._all[listener] = asyncio.current_task()
        if self._changes is not None:
            self._changes.start()
            self._look()
        try:
            await socket.exchange(listener.more, listener.take, lambda message: self._handle(listener, message))
        finally:
            del self._all[listener]
            if not self._all and self._changes is not None:
                self._changes.stop()

    def job(self, key: str, state: Mapping[str, Any]) -> None:
        """Sends a job's state to the clients that listen to jobs."""
        if self._all:
            text = json.dumps({"COMMAND": "JOB", "DATA": state})
            for listener in self._all:
                listener.job(key, text)

    def files(self) -> None:
        """Tells the clients that listen to jobs to reread the lists of files and jobs."""
        for listener in self._all:
            listener.job(FILES, json.dumps({"COMMAND": FILES}))

    async def stop(self) -> None:
        """Disconnects all clients."""
        tasks = [task for task in [*self._all.values(), self._looking] if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _handle(self, listener: WebListener, message: str | bytes) -> str:
        """Handles a client's message; a refusal as JSON, or ""."""
        if isinstance(message, str):
            refused = listener.command(message)
        elif self._control is None:
            refused = "a message is text or an OSC packet"
        else:
            try:
                self._control.forward(message)
                return ""
            except WireError as error:
                refused = str(error)
        return json.dumps({"error": refused}) if refused else ""

    def _changed(self, address: str, args: tuple[Arg, ...]) -> None:
        if address == STRUCTURE:
            self._look()
        for sent, values in [(address, args)] if self.space is None else self.space.messages(address, args):
            listeners = [listener for listener in self._all if sent in listener.addresses]
            if listeners:
                packet = encode(sent, *values)
                for listener in listeners:
                    listener.change(sent, packet)

    def _look(self) -> None:
        """Queries control's nodes, in a task; asks again if a query was in progress."""
        if self.space is None:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._update(self.space))
        else:
            self._look_again = True

    async def _update(self, space: AddressSpace) -> None:
        assert self._control is not None
        while True:
            self._look_again = False
            try:
                moves = space.update([item.node for item in await self._control.nodes()])
            except HttpRefusal:
                return  # control does not answer; the patch that it loads when it is back is the next chance
            for command, path in moves:
                for listener in self._all:
                    listener.queue_path(command, path)
            if not self._look_again:
                return
