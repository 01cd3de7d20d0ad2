"""Entry point of the web process, which the supervisor starts with the HTTP socket when the server is ready.

It has no state of its own: if it is killed, the supervisor starts another, and connections queue in the listening
socket meanwhile.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.log_lines import log_lines
from antiphon.kernel.io.tap_memory import TapMemory, TapShape
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.console import log_plugin_prints
from antiphon.kernel.runtime.processes.child_process import unblock_signals
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRefusal
from antiphon.web.routes import HttpOptions, serve_http
from antiphon.web.server import HttpServer, drain

log = logging.getLogger("antiphon.web")
NICE = 10
"""Increment of the process's nice value: control and engine have priority."""
WITHDRAW_SECONDS = 1.0
"""Timeout in seconds for withdrawing the announcement of `--lan`; it usually takes a quarter."""
CATALOG_SECONDS = 0.2
"""Interval in seconds between checks of the catalogue's file."""
STALLED_SECONDS, BLOCKED_SECONDS = 10, 60
"""Seconds of processor time, and of the clock, after which SIGPROF or SIGALRM ends the process if a plugin's handler
blocks the event loop; it is then restarted. On a busy machine a process of its nice value may get no processor time for
seconds."""


def main(argument: str) -> int:
    """Serves until SIGTERM.

    `argument`: JSON from the supervisor: settings, catalog (a path), taps (their shape), page
    (runtime folder and key, or None) and fds (http, control, taps, answers).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    log_plugin_prints()
    os.nice(NICE)
    given = json.loads(argument)
    catalog = _read(Path(given["catalog"]))
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
    unblock_signals()
    control = ControlLink(socket.socket(fileno=fds["control"]), ("127.0.0.1", settings.osc_port))
    serving = loop.create_task(control.serve(), name="control")
    listener = socket.socket(fileno=fds["http"])
    try:
        taps = TapMemory(fds["taps"], TapShape(*given["taps"]))
        scripts = socket.socket(fileno=fds["scripts"]) if "scripts" in fds else None
        options = HttpOptions(
            folder=paths.config(),
            jobs=paths.data() / "jobs",
            listener=listener,
            lan=settings.lan,
            proxy=settings.proxy,
            taps=taps,
            scripts=scripts,
            page=given["page"],
            plugins=catalog.hooks,
        )
        http = await serve_http(control, catalog, options)
        with contextlib.suppress(HttpRefusal):  # what asks meanwhile is refused alike
            await control.addresses_and_port()
        with contextlib.suppress(OSError):  # the server ends
            os.write(fds["answers"], b"1")
        os.close(fds["answers"])
        announcing = await start_announcement(http, control, settings)
        following = loop.create_task(_follow(catalog, Path(given["catalog"])), name="catalog")
        _watch(loop)
        await loop.run_in_executor(None, resources.trim)
        await stop.wait()
        following.cancel()
        if announcing is not None:
            announcing.cancel()
            await asyncio.wait({announcing}, timeout=WITHDRAW_SECONDS)
        if settings.drain:
            await drain(http, settings.drain)
        await http.stop()
    finally:
        serving.cancel()
        control.close()


async def start_announcement(
    http: HttpServer, control: ControlLink, settings: ServeSettings
) -> asyncio.Task[None] | None:
    """Starts the Zeroconf announcement of `--lan`; returns its task, cancelled to withdraw it, or None."""
    if not settings.lan or settings.announce == "none":
        return None
    from antiphon.web.oscquery.announcement import Announcement, host_name  # zeroconf is 4 MB, for --lan alone

    announcement = Announcement((await control.addresses_and_port()).osc_port, http.port, settings.announce)
    http.name = lambda: announcement.name
    # clients that found the server by its name may send that in the Host header
    site = http.gate.site
    http.gate.site = replace(site, hosts=site.hosts | {host_name(socket.gethostname())})
    return asyncio.create_task(announcement.serve(), name="announcement")


def _read(path: Path) -> Catalog:
    return Catalog.from_json(json.loads(path.read_text()))


async def _follow(catalog: Catalog, path: Path) -> None:
    """Reloads the catalog when control writes it, after a plugin's version change, until it is cancelled."""
    known = 0  # it may have been written again since this process read it at its start
    while True:
        await asyncio.sleep(CATALOG_SECONDS)
        with contextlib.suppress(OSError):  # the server ends
            now = os.stat(path).st_mtime_ns
            if now != known:
                catalog.take(_read(path))
                known = now


def _watch(loop: asyncio.AbstractEventLoop) -> None:
    """Postpones both time limits every second while the event loop runs."""
    signal.setitimer(signal.ITIMER_PROF, STALLED_SECONDS)
    signal.alarm(BLOCKED_SECONDS)
    loop.call_later(1.0, _watch, loop)


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
