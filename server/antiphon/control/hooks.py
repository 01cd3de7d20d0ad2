"""The hooks that control calls: transports, start, end, events. Routes are the web process's.

The loader has noted which hooks each plugin implements. A plugin that has none of these is not imported here, and what
calls them is imported only for one that has.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.contract.catalog import Failure
    from antiphon.plugins.dispatcher import HookDispatcher

log = logging.getLogger("antiphon.plugins")
CALLED = frozenset(
    f"antiphon_{name}" for name in ("transports", "startup", "shutdown", "event")
)  # fmt: skip
LOGGED = 1.0
"""Seconds between two lines in the log about a plugin's `antiphon_event`: events may come with every note."""


class ServerHooks:
    """What plugins add to a running server; what one raises is logged and counted, and the rest goes on."""

    def __init__(self, implemented: Mapping[str, tuple[str, ...]]) -> None:
        """implemented: by plugin, the names of its hooks, as the catalog has them."""
        self._wanted = {plugin for plugin, hooks in implemented.items() if CALLED.intersection(hooks)}
        self._dispatcher: HookDispatcher | None = None
        self._transports: list[tuple[str, Any]] = []
        self._logged: dict[str, float] = {}

    async def start(self, app: Any) -> None:
        """Imports the plugins, calls what belongs to the start, and begins to pass events on."""
        if not self._wanted:
            return
        from antiphon.plugins.dispatcher import HookDispatcher
        from antiphon.plugins.finding import sources

        self._dispatcher = HookDispatcher()
        for source in sources():
            if source.name in self._wanted and not source.problem:
                try:
                    self._dispatcher.add(source.name, source.importing())
                except (Exception, SystemExit) as error:
                    _say(f"plugin {source.name}", error)
        await self._call("antiphon_transports", register=self._register)
        await self._call("antiphon_startup", app=app)
        for name, transport in self._transports:
            await _attempt(f"transport {name}", partial(transport.start, app))
        app.listeners.append(partial(self._event, self._dispatcher, app))

    async def stop(self, app: Any) -> None:
        """Ends the transports, then says to the plugins that the server ends."""
        for name, transport in self._transports:
            await _attempt(f"transport {name}", transport.stop)
        await self._call("antiphon_shutdown", app=app)

    def _event(self, dispatcher: HookDispatcher, app: Any, event: dict[str, Any]) -> None:
        """Called between turns: the hooks must return at once."""
        for failure in dispatcher.call("antiphon_event", app=app, event=event):
            now = monotonic()
            if now - self._logged.get(failure.name, -LOGGED) >= LOGGED:
                self._logged[failure.name] = now
                count = dispatcher.count[failure.name, "antiphon_event"]
                _warn(failure, f"; so far this happened {count} times" if count > 1 else "")

    def _register(self, name: str, factory: Any, doc: str = "") -> None:
        from antiphon.errors import PluginError
        from antiphon.plugins.factories import resolve

        if name in dict(self._transports):
            raise PluginError(f"there is a transport named {name!r} already; choose another name")
        self._transports.append((name, resolve(factory)()))

    async def _call(self, hook: str, **given: Any) -> None:
        if self._dispatcher is not None:
            for failure in await self._dispatcher.acall(hook, **given):
                _warn(failure)


def _warn(failure: Failure, more: str = "") -> None:
    log.warning("plugin %s: %s%s", failure.name, failure.reason, more)


def _say(what: str, error: BaseException) -> None:
    from antiphon.plugins.reasons import reason_of

    log.warning("%s: %s", what, reason_of(error))


async def _attempt(what: str, work: Callable[[], Any]) -> None:
    try:
        result = work()
        if inspect.isawaitable(result):
            await result
    except Exception as error:
        _say(what, error)
