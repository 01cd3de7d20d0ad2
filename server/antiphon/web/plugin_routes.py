"""Adds the routes and operations of plugins in the web process; a plugin without any is not imported here."""

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
HOOKS = frozenset({"antiphon_routes", "antiphon_operations"})


async def add_routes(http: HttpServer, implemented: Mapping[str, tuple[str, ...]]) -> None:
    """Adds every plugin's routes and operations; an exception is logged, and the next plugin has its turn."""
    wanted = {plugin for plugin, hooks in implemented.items() if HOOKS.intersection(hooks)}
    if not wanted:
        return
    from antiphon.kernel.plugins.hook_lists import import_plugins

    def failed(name: str, error: BaseException) -> None:
        log.warning("plugin %s: %s", name, reason_of(error))

    dispatcher = import_plugins(wanted, failed)
    failures = [*await dispatcher.acall("antiphon_routes", http=http)]
    for plugin in dispatcher.implemented:
        added, more = dispatcher.operations(plugin)
        failures += more
        for operation in added:
            if not operation.local:
                http.offer(operation)
    for failure in failures:
        log.warning("plugin %s: %s", failure.name, failure.reason)


def all_operations() -> tuple[Operation, ...]:
    """Operations of the server, then those of the plugins that ship with it, without any other plugins."""
    from antiphon.kernel.plugins.finding import BUILT_IN

    http = HttpServer()
    asyncio.run(add_routes(http, dict.fromkeys(BUILT_IN, tuple(HOOKS))))
    return (*OPERATIONS, *http.operations)
