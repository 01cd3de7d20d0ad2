"""Control's end of the web process's socket: answers one request at a time, within `SHARE` of CPU time, in turns.

It runs in the control process, to which `join` adds it.
"""

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic, thread_time
from typing import Any

from antiphon.kernel.contract.params import Value
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.commands.executor import round_float32
from antiphon.kernel.control.subscribers.clients import APPROVAL_SECONDS, MAX_APPROVED
from antiphon.kernel.errors import AntiphonError, FileError, RequestError, UsageError, WireError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.io_nodes import declaration, nodes_outside_plan
from antiphon.kernel.graph.macros import macros_to_json
from antiphon.kernel.graph.names import SCENE_NAME
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.web.access import plain_ip
from antiphon.web.control_status import MACHINE, MachineWatch, attributes_of, status
from antiphon.web.messages import MAX_REQUEST, STARTED, Topic, WebRequest, split_answer

# ---- Approvals of addresses on disk, which control has again after a restart

_lan_log = logging.getLogger("antiphon.lan")
APPROVED_FILE = "approved.json"


@dataclass(slots=True)
class Approvals:
    """Approved addresses with the time of their approval, valid for `APPROVAL_SECONDS`.

    They survive a restart, but expire within a day: in another network the same address may be a stranger's.

    `folder`: the folder of `APPROVED_FILE`; `clock`: seconds since the epoch.
    """

    folder: Path
    clock: Callable[[], float] = time.time

    def load(self) -> dict[str, float]:
        """Loads the valid approvals, oldest first, with their remaining seconds; none from a damaged file."""
        now = self.clock()
        return {ip: when + APPROVAL_SECONDS - now for ip, when in self._read().items()}

    def add(self, ip: str) -> None:
        """Stores an approval; `FileError` if the file is not writable."""
        approved = self._read()
        approved.pop(ip, None)
        self._write({**approved, ip: self.clock()})

    def remove(self, ip: str) -> None:
        """Removes an approval; `FileError` if the file is not writable."""
        approved = self._read()
        if approved.pop(ip, None) is not None:
            self._write(approved)

    def _write(self, approved: dict[str, float]) -> None:
        newest = dict(list(approved.items())[-MAX_APPROVED:])
        paths.write_atomic(self.folder / APPROVED_FILE, json.dumps(newest).encode(), 0o600)

    def _read(self) -> dict[str, float]:
        now = self.clock()
        try:
            data = json.loads((self.folder / APPROVED_FILE).read_bytes())
            approved = {plain_ip(ip): float(when) for ip, when in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            _lan_log.warning(
                "the approvals in %s cannot be read (%s): none is valid", self.folder, type(error).__name__
            )
            return {}
        return {ip: when for ip, when in approved.items() if 0 <= now - when < APPROVAL_SECONDS}


# ---- Control's end of the web process's socket: one request at a time, within `SHARE` of CPU time, in turns

log = logging.getLogger("antiphon.web")

SHARE = 0.005
"""Share of control's time for web's requests: they delay one OSC message in 200, so that p99 does not change."""
CREDIT_SECONDS = 0.04
"""Burst credit in CPU seconds after a pause: about 40 answers (1 ms each, .2 in succession), as requested by a page or
a script."""
TURN_SECONDS = 0.0005
"""CPU seconds after which a long answer yields to the event loop."""


class ControlShare:
    """Limits the CPU time of web's requests to `SHARE`, with a burst of `CREDIT_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Starts with the full credit; `clock` gives seconds."""
        self._clock = clock
        self._credit, self._at = CREDIT_SECONDS, clock()

    def charge_cpu_time(self, seconds: float) -> float:
        """Subtracts the last answer's CPU time (s) from the credit; returns the pause (s) before the next one."""
        now = self._clock()
        self._credit = min(CREDIT_SECONDS, self._credit + SHARE * (now - self._at)) - seconds
        self._at = now
        return max(0.0, -self._credit / SHARE)


class WebRequests:
    """A service of control.

    `answered`: number of requests so far, including refused ones; `refused`: number of errors.
    """

    def __init__(
        self, link: socket.socket, folder: Path, figures: Callable[[ControlApp], dict[str, Any]] = status
    ) -> None:
        """`link`: the socket to the web process. `folder`: the configuration folder, which stores approvals."""
        link.setblocking(False)
        self._link, self._approvals, self._share = link, Approvals(folder), ControlShare()
        self._figures = figures
        self.answered = self.refused = 0

    def restore(self, app: ControlApp) -> None:
        """Restores the stored approvals that have not expired."""
        app.access.restore(self._approvals.load())

    async def serve(self, app: ControlApp) -> None:
        """Answers until it is cancelled."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._link, STARTED)
        while True:
            data = await loop.sock_recv(self._link, MAX_REQUEST)
            if not data:
                return  # both web and the supervisor have closed the other end
            spent = 0.0
            try:
                request = WebRequest.unpack(data)
            except WireError as error:
                self.refused += 1
                log.warning("%s", error)
                continue
            start = thread_time()
            pieces: list[str] = []
            try:
                changes = request.topic in (Topic.APPROVE, Topic.FORGET)
                answer = iter([await self._changed(app, request)]) if changes else self._pieces(app, request)
                for piece in answer:
                    pieces.append(piece)
                    if thread_time() - start >= TURN_SECONDS:
                        spent += thread_time() - start
                        await asyncio.sleep(0)
                        start = thread_time()
            except AntiphonError as error:
                self.refused += 1
                status = 404 if request.topic is Topic.FORGET and isinstance(error, UsageError) else 400
                pieces = [json.dumps({"error": str(error), "status": status})]
            self.answered += 1
            for part in split_answer(request.number, "".join(pieces).encode()):
                await loop.sock_sendall(self._link, part)
            if pause := self._share.charge_cpu_time(spent + max(0.0, thread_time() - start)):
                await asyncio.sleep(pause)

    def _pieces(self, app: ControlApp, request: WebRequest) -> Iterator[str]:
        """JSON text of an answer in small pieces, so that `serve` can yield between two."""
        match request.topic:
            case Topic.ABOUT:
                methods = [[one.path, one.args, one.doc] for one in (*app.directory.fixed, *app.plugin_addresses.infos)]
                yield _data({"methods": methods, "osc_port": app.osc_port})
            case Topic.STATUS:
                yield _data(self._figures(app))
            case Topic.SURFACES:
                yield _data(_surfaces(app))
            case Topic.NODES:
                yield '{"data": ['
                app.executor.settle()
                graph, only = app.session.state.graph, request.about
                asked = (node for node in chain(graph.nodes, nodes_outside_plan(graph)) if only in ("", node.name))
                yield from _items([node.name, node.type, _values(app, node)] for node in asked)
                yield "]}"
            case Topic.GRAPH:
                yield from _graph(app)
            case Topic.STORED:
                yield from _stored(app)

    async def _changed(self, app: ControlApp, request: WebRequest) -> str:
        ip = request.about
        if request.topic is Topic.APPROVE:
            app.access.approve(ip)
            return _data(await self._store(self._approvals.add, ip, f"the approval of {ip}"))
        # the file first: an approval that stays in it would be valid again after the next start
        stored = await self._store(self._approvals.remove, ip, f"that {ip} is forgotten")
        app.access.forget(ip)
        return _data(stored)

    async def _store(self, change: Callable[[str], None], ip: str, what: str) -> bool:
        """Changes the file in a thread, since disks may be slow; returns True if the change outlives this run."""
        try:
            await asyncio.to_thread(change, ip)
        except FileError as error:
            log.warning("%s ends with this run: %s", what, error)
            return False
        return True


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Lets control answer web, know approvals, and watch the machine; a function of `Companions.control`."""
    requests = WebRequests(socket.socket(fileno=fds["web"]), paths.config())
    machine = app.joined[MACHINE] = MachineWatch(app.link, lambda: app.workers())
    app.services += [
        ("the web process", partial(requests.serve, app)),
        ("the machine", partial(machine.serve, app.faults)),
    ]
    if settings.lan:
        requests.restore(app)


def _surfaces(app: ControlApp) -> dict[str, Any]:
    """Held or approved addresses, each with its time and the number of its subscriptions."""
    listening = Counter(surface.peer.host for surface in app.surfaces)
    machines = [
        {
            **attributes_of(one, "ip", "state", "messages"),
            "subscriptions": listening[one.ip],
            "seconds": None if one.seconds is None else round(one.seconds),
        }
        for one in app.access.machines()
    ]
    held, approved = sorted(app.access.held_addresses()), sorted(app.access.approved_addresses())
    return {"held": held, "approved": approved, "machines": machines}


def _values(app: ControlApp, node: NodeSpec) -> dict[str, Value]:
    """Values of a node's parameters by name, without unknown ones."""
    info = declaration(node, app.catalog)
    found = {}
    for param in info.cells if info else ():
        with contextlib.suppress(RequestError):
            found[param.name] = round_float32(app.session.state.value(node.name, param.name))
    return found


def _graph(app: ControlApp) -> Iterator[str]:
    state = app.session.state

    def shown(spec: NodeSpec) -> dict[str, Any]:
        node = state.every.get(spec.name)
        number, said, reason = (node.id, node.state, node.reason) if node is not None else (0, "", "")
        return {"name": spec.name, "type": spec.type, "number": number, "state": said, "reason": reason}

    yield '{"data": {"patch": ' + json.dumps(state.shown.name) + ', "nodes": ['
    yield from _items(map(shown, chain(state.graph.nodes, nodes_outside_plan(state.graph))))
    yield '], "wires": ['
    yield from _items([str(wire.source), str(wire.dest)] for wire in state.graph.wires)
    names = {number: scene[SCENE_NAME] for number, scene in state.shown.scenes.items() if SCENE_NAME in scene}
    yield '], "scenes": ' + json.dumps(sorted(state.shown.scenes)) + ', "scene_names": ' + json.dumps(names)
    single = [(one.name, one.targets[0]) for one in state.graph.macros if len(one.targets) == 1]
    drives = [
        {"macro": name, "node": to.node, "param": to.param, "low": to.low, "high": to.high, "curve": to.curve}
        for name, to in single
    ]
    yield ', "drives": ' + json.dumps(drives) + "}}"


def _stored(app: ControlApp) -> Iterator[str]:
    yield '{"data": {"macros": ' + json.dumps(macros_to_json(app.session.state.graph.macros)) + ', "scenes": {'
    for place, (number, values) in enumerate(sorted(app.session.state.shown.scenes.items())):
        yield ("," if place else "") + f'"{number}": ' + json.dumps(dict(values))
    yield "}}}"


def _items(items: Iterable[Any]) -> Iterator[str]:
    for place, item in enumerate(items):
        yield ("," if place else "") + json.dumps(item)


def _data(data: Any) -> str:
    return json.dumps({"data": data})
