"""Calls the hook `antiphon_routes` in the web process; plugins without it are not imported here."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from antiphon.web.server import HttpServer

log = logging.getLogger("antiphon.plugins")
HOOK = "antiphon_routes"


async def add_routes(http: HttpServer, implemented: Mapping[str, tuple[str, ...]]) -> None:
    """Calls every plugin's route hook; an exception is logged, and the next one is called."""
    wanted = {plugin for plugin, hooks in implemented.items() if HOOK in hooks}
    if not wanted:
        return
    from antiphon.kernel.plugins.importing import import_plugins
    from antiphon.kernel.plugins.reasons import reason_of

    def failed(name: str, error: BaseException) -> None:
        log.warning("plugin %s: %s", name, reason_of(error))

    for failure in await import_plugins(wanted, failed).acall(HOOK, http=http):
        log.warning("plugin %s: %s", failure.name, failure.reason)
