"""Entry point of the control process, which may be killed; settings are on stdin, unseen in the process list."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.control.osc.served import ControlOptions
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import MappingShape, Shared
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.graph import IN
from antiphon.kernel.graph.names import CANCELLER
from antiphon.kernel.io.listening import lan_address
from antiphon.kernel.io.log_lines import log_lines
from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.console import log_plugin_prints
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.platform import short_slices
from antiphon.kernel.runtime.processes.child_process import unblock_signals
from antiphon.kernel.runtime.settings import HTTP_PORT, ServeSettings, surface_address
from antiphon.kernel.session.commands import SetParam
from antiphon.kernel.workers.arena import Arena
from antiphon.kernel.workers.low_latency_events import EventWriter
from antiphon.kernel.workers.status import workers

log = logging.getLogger("antiphon.control")
READY_TIMEOUT = 90.0
Joining: TypeAlias = Callable[[ControlApp, ServeSettings, Mapping[str, int]], None]
"""Adds a companion's part to a running control, for `Companions.control`: takes the settings and file descriptors."""
DEFAULT_PATCH = "through"


def main(argument: str) -> int:
    """Runs control until SIGTERM; exit status 1 after an error, which was sent to the supervisor."""
    short_slices()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    log_plugin_prints()
    given = json.loads(argument)
    supervisor = socket.socket(fileno=given["fds"]["supervisor"])
    try:
        asyncio.run(_live(given, supervisor))
    except AntiphonError as error:
        _tell(supervisor, {"fatal": str(error)})
        return 1
    return 0


async def _live(given: dict[str, Any], supervisor: socket.socket) -> None:
    settings = ServeSettings.from_json(given["settings"]).with_(secrets=given["secrets"])
    fds: dict[str, int] = given["fds"]
    joining: list[Joining] = [import_object(place) for place in given["joining"]]
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    unblock_signals()
    supervisor.setblocking(False)
    catalog = await _catalog(loop, supervisor, stop)
    if catalog is None:
        return
    shared = Shared(fds["shared"], MappingShape(*given["shape"]))
    recorder = socket.socket(fileno=fds["recorder"])
    recorder.setblocking(False)
    link = RemoteEngine(shared, fds["bell"], socket.socket(fileno=fds["engine"]), recorder)
    app = ControlApp(
        link,
        catalog,
        Path(given["folder"]),
        udp=socket.socket(fileno=fds["osc_udp"]),
        tcp=socket.socket(fileno=fds["osc_tcp"]),
        options=ControlOptions(surfaces=[surface_address(s) for s in settings.surface], allow=settings.allow),
    )
    loop.add_reader(recorder.fileno(), app.captures.read, recorder)
    app.device.attach(supervisor, given["device"])
    app.device.input = settings.input_file.name if settings.input_file is not None else ""
    app.plans.guards = given["guards"]
    app.plans.loudspeakers = given["loudspeakers"] and not app.headphones.value_for(given["device"])
    loop.add_reader(supervisor.fileno(), app.device.read)
    if settings.http_port != HTTP_PORT:
        app.access.approving += f" --http-port {settings.http_port}"
    arena = Arena(fds["arena"])
    link.direct = EventWriter(arena, given["wakes"])
    app.workers = lambda: workers(arena)
    for join in joining:
        join(app, settings, fds)
    restored = await app.start()
    if settings.mute_input:
        app.command(SetParam(IN, "mute", True), "")
    if not restored:
        open_patch(app, settings)
    hooks = ServerHooks(catalog, settings, fresh=not restored)
    await hooks.start(app)
    announce = loop.create_task(_say_ready(app, settings, supervisor), name="ready")
    try:
        await app.run(stop)
    finally:
        announce.cancel()
        await hooks.stop(app)
        await app.stop()


async def _catalog(loop: asyncio.AbstractEventLoop, supervisor: socket.socket, stop: asyncio.Event) -> Catalog | None:
    """Receives the catalog's path once the supervisor has loaded the plugins, and reads it; None after `stop`."""
    stopping = loop.create_task(stop.wait())
    receiving = loop.create_task(_catalog_path(loop, supervisor))
    await asyncio.wait({stopping, receiving}, return_when=asyncio.FIRST_COMPLETED)
    if not receiving.done():
        receiving.cancel()
        return None
    stopping.cancel()
    return _read_catalog(Path(receiving.result()))


async def _catalog_path(loop: asyncio.AbstractEventLoop, supervisor: socket.socket) -> str:
    message: dict[str, str] = {}
    while "catalog" not in message:  # what an earlier control has not read may stand before it
        message = json.loads(await loop.sock_recv(supervisor, 65536))
    return message["catalog"]


def _read_catalog(path: Path) -> Catalog:
    return Catalog.from_json(json.loads(path.read_text()))


async def _say_ready(app: ControlApp, settings: ServeSettings, supervisor: socket.socket) -> None:
    """Sends the supervisor the line to print, with ports and patch, once the engine plays the first plan."""
    waited = 0.0
    while (app.session.state.loading or app.link.status().state != "running") and waited < READY_TIMEOUT:
        await asyncio.sleep(0.01)
        waited += 0.01
    engine = app.link.status()
    host = lan_address() if settings.lan else "127.0.0.1"
    reached = "0.0.0.0" if settings.proxy else host
    page = (
        f", {'https' if settings.lan else 'http'}://{reached}:{settings.http_port}"
        if settings.extra.get("web", True)
        else ""
    )
    woken = f" (woken {engine.wake_late_ns / 1e6:.1f} ms late)" if engine.wake_late_ns else ""
    line = (
        f"ready osc {host}:{app.osc_port} (udp and tcp), {engine.driver} at {engine.rate} Hz, {engine.block} frames "
        f"{engine.ahead} ahead{woken}, patch {app.session.state.shown.name or 'none'}{page}"
    )
    _tell(supervisor, {"ready": [line]})
    await asyncio.get_running_loop().run_in_executor(None, resources.trim)


def _tell(supervisor: socket.socket, message: dict[str, Any]) -> None:
    try:
        supervisor.send(json.dumps(message).encode())
    except OSError as error:
        # the supervisor is dead; the server continues without it
        log.warning("the supervisor cannot be reached: %s", error)


def open_patch(app: ControlApp, settings: ServeSettings) -> None:
    """Loads what a companion `opens`, or the patch of the command line, a name or any file; else `DEFAULT_PATCH`.

    Where the settings have "opens", an input behind a canceller is opened.
    """
    if app.opens is not None:
        app.opens()
    else:
        app.plans.load(patches.load(settings.patch or DEFAULT_PATCH, app.catalog, trusted=True), 0.0, None, "", ())
    # before an input that is listened to and not played: nothing that is played comes back as sound
    if settings.extra.get("opens") and app.plans.guards and app.session.state.graph.has(CANCELLER):
        app.command(SetParam(IN, "mute", False), "")
    app.turns.finish()


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
