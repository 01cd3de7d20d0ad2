"""Entry point of the web process, which the supervisor starts, once the server is ready, with the HTTP socket.

It has no state of its own: when it is killed, the supervisor starts another, and connections queue in the listening
socket meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from antiphon.contract.catalog import Catalog
from antiphon.errors import AntiphonError
from antiphon.io.log_lines import log_lines
from antiphon.io.tap_memory import TapMemory, TapShape
from antiphon.runtime import paths
from antiphon.runtime.child_process import bound_to, listening
from antiphon.runtime.settings import ServeSettings
from antiphon.web.control_link import ControlLink
from antiphon.web.plugin_routes import add_routes
from antiphon.web.routes import serve_http

log = logging.getLogger("antiphon.web")
NICE = 10
"""Added to the process's nice value, so that control and engine get the processor first."""
STALLED_SECONDS = 10
"""Seconds after which SIGALRM ends the process if a plugin's handler blocks the event loop; it is then restarted."""


def main(argument: str) -> int:
    """Serves until SIGTERM.

    Args:
        argument: JSON from the supervisor: settings, catalog (a path), supervisor (its pid), taps (their
            shape) and fds (http, control, taps).

    Returns:
        The exit status.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    os.nice(NICE)
    given = json.loads(argument)
    # without its supervisor it would hold the port of the next one, which may not know of it
    if not bound_to(given["supervisor"]):
        return 0
    catalog = Catalog.from_json(json.loads(Path(given["catalog"]).read_text()))
    try:
        asyncio.run(_live(given, catalog))
    except AntiphonError as error:
        log.error("HTTP is not served: %s", error)
        return 1
    return 0


async def _live(given: dict[str, Any], catalog: Catalog) -> None:
    settings, fds = ServeSettings.from_json(given["settings"]), given["fds"]
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    listening()
    control = ControlLink(socket.socket(fileno=fds["control"]), ("127.0.0.1", settings.osc_port))
    serving = loop.create_task(control.serve(), name="control")
    listener = socket.socket(fileno=fds["http"])
    try:
        taps = TapMemory(fds["taps"], TapShape(*given["taps"]))
        http = await serve_http(control, catalog, folder=paths.config(), listener=listener, lan=settings.lan, taps=taps)
        await add_routes(http, catalog.hooks)
        _watch(loop)
        await stop.wait()
        await http.stop()
    finally:
        serving.cancel()
        control.close()


def _watch(loop: asyncio.AbstractEventLoop) -> None:
    """Postpones the alarm every second that the event loop turns."""
    signal.alarm(STALLED_SECONDS)
    loop.call_later(1.0, _watch, loop)


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
