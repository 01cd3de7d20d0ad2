"""Registered transports of plugins for the command line: `doctor`, `devices` and the options of `serve`."""

import logging
from collections.abc import Callable
from typing import Any

from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.importing import reason_of, resolve
from antiphon.kernel.session.transport import Transport

log = logging.getLogger("antiphon.plugins")
HOOK = "antiphon_transports"


def transports() -> list[tuple[str, Transport]]:
    """Yields (name, transport) in the order in which plugins load; one that fails to load is logged and left out."""
    result: dict[str, Transport] = {}

    def register(name: str, factory: str | Callable[[], Any], doc: str = "") -> None:
        transport = resolve(factory)()
        if isinstance(transport, Transport):
            result.setdefault(name, transport)

    def failed(name: str, error: BaseException) -> None:
        log.warning("plugin %s: %s", name, reason_of(error))

    dispatcher = import_plugins(hook_lists().implementing(HOOK), failed)
    for failure in dispatcher.call(HOOK, register=register):
        log.warning("plugin %s: %s", failure.name, failure.reason)
    return list(result.items())
