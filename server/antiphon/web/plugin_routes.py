"""Calls the hook `antiphon_routes` in the web process; plugins without it are not imported here."""

import asyncio
import logging
from collections.abc import Mapping

from antiphon.kernel.runtime.importing import reason_of
from antiphon.web.api.jobs import JobRoutes
from antiphon.web.api.lessons import LessonRoutes
from antiphon.web.api.live import LiveRoutes
from antiphon.web.api.recordings import RecordingRoutes
from antiphon.web.api.server_state import DocumentRoute, ServerRoutes
from antiphon.web.operations import Operation, operations_of
from antiphon.web.server import HttpServer

OWNERS = (ServerRoutes, DocumentRoute, JobRoutes, LiveRoutes, RecordingRoutes, LessonRoutes)
OPERATIONS = tuple(one for owner in OWNERS for one in operations_of(owner))


log = logging.getLogger("antiphon.plugins")
HOOK = "antiphon_routes"


async def add_routes(http: HttpServer, implemented: Mapping[str, tuple[str, ...]]) -> None:
    """Calls every plugin's route hook; an exception is logged, and the next one is called."""
    wanted = {plugin for plugin, hooks in implemented.items() if HOOK in hooks}
    if not wanted:
        return
    from antiphon.kernel.plugins.hook_lists import import_plugins

    def failed(name: str, error: BaseException) -> None:
        log.warning("plugin %s: %s", name, reason_of(error))

    for failure in await import_plugins(wanted, failed).acall(HOOK, http=http):
        log.warning("plugin %s: %s", failure.name, failure.reason)


def all_operations() -> tuple[Operation, ...]:
    """Operations of the server, then those of the plugins that ship with it, without any other plugins."""
    from antiphon.kernel.plugins.finding import BUILT_IN

    http = HttpServer()
    asyncio.run(add_routes(http, dict.fromkeys(BUILT_IN, (HOOK,))))
    return (*OPERATIONS, *http.operations)
