"""Hooks called by control: transports, start, end, events. A plugin without any of them is not imported here."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from antiphon.kernel.contract.catalog import Catalog, Failure
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.transport import is_wanted

if TYPE_CHECKING:
    from antiphon.kernel.control.app import ControlApp
    from antiphon.kernel.plugins.dispatcher import HookDispatcher

log = logging.getLogger("antiphon.plugins")
_CALLED = ("startup", "shutdown", "event", "addresses", "operations")
CALLED_HOOKS = frozenset(f"antiphon_{hook}" for hook in _CALLED)
"""Hooks for which a plugin is imported; a plugin with transports is imported if the settings ask for one."""
EVENT_LOG_SECONDS = 1.0
"""Seconds between two lines in the log about a plugin's `antiphon_event`: events may come with every note."""


class ServerHooks:
    """Calls the plugins' hooks in a running server; exceptions are logged, and the next plugin is called."""

    def __init__(self, catalog: Catalog, settings: ServeSettings, *, fresh: bool) -> None:
        """Chooses the plugins to import; nothing is imported before `start`."""
        self._settings, self._fresh = settings, fresh
        wanted = [info for info in catalog.transports if info.table or info.always or is_wanted(info.options, settings)]
        self._asked = {info.name: info.plugin for info in wanted}
        called = {plugin for plugin, hooks in catalog.hooks.items() if CALLED_HOOKS.intersection(hooks)}
        self._wanted = called | set(self._asked.values())
        self._dispatcher: HookDispatcher | None = None
        self._transports: list[tuple[str, Any]] = []
        self._logged: dict[str, float] = {}

    async def start(self, app: ControlApp) -> None:
        """Imports the plugins, calls their startup hooks, starts the transports and subscribes to events."""
        if not self._wanted:
            return
        from antiphon.kernel.plugins.hook_lists import import_plugins

        self._dispatcher = import_plugins(self._wanted, lambda name, error: _say(f"plugin {name}", error))
        await self._call("antiphon_transports", register=self._register)
        self._add_addresses(app, self._dispatcher)
        await self._call("antiphon_startup", app=app)
        for name, transport in self._transports:
            host = app.transports.host(name, self._settings, fresh=self._fresh)
            await _call_and_log_error(f"transport {name}", partial(transport.start, host))
        app.events.listeners.append(partial(self._event, self._dispatcher, app))

    def _add_addresses(self, app: ControlApp, dispatcher: HookDispatcher) -> None:
        from antiphon.kernel.plugins.dispatcher import addresses_of

        for plugin in dispatcher.implemented:
            osc, failures = addresses_of(dispatcher, plugin)
            for offer in app.offers:
                failures += offer(dispatcher, osc)
            for failure in failures:
                _warn(failure)
            host = app.transports.host(plugin, self._settings, fresh=self._fresh)
            for info, handler in osc.added:
                app.plugin_addresses.add(info, handler, host)

    async def stop(self, app: Any) -> None:
        """Stops the transports, then calls `antiphon_shutdown`."""
        for name, transport in self._transports:
            await _call_and_log_error(f"transport {name}", transport.stop)
        await self._call("antiphon_shutdown", app=app)

    def _event(self, dispatcher: HookDispatcher, app: Any, event: dict[str, Any]) -> None:
        """Calls the event hooks, between turns: they must return at once."""
        for failure in dispatcher.call("antiphon_event", app=app, event=event):
            now = monotonic()
            if now - self._logged.get(failure.name, -EVENT_LOG_SECONDS) >= EVENT_LOG_SECONDS:
                self._logged[failure.name] = now
                count = dispatcher.count[failure.name, "antiphon_event"]
                _warn(failure, f"; so far this happened {count} times" if count > 1 else "")

    def _register(self, name: str, factory: Any, doc: str = "") -> None:
        from antiphon.kernel.errors import PluginError
        from antiphon.kernel.runtime.importing import resolve

        if name not in self._asked:
            return
        if name in dict(self._transports):
            raise PluginError(f"there is a transport named {name!r} already; choose another name")
        self._transports.append((name, resolve(factory)()))

    async def _call(self, hook: str, **given: Any) -> None:
        if self._dispatcher is not None:
            for failure in await self._dispatcher.call_and_await(hook, **given):
                _warn(failure)


def _warn(failure: Failure, more: str = "") -> None:
    log.warning("plugin %s: %s%s", failure.name, failure.reason, more)


def _say(what: str, error: BaseException) -> None:
    from antiphon.kernel.runtime.importing import reason_of

    log.warning("%s: %s", what, reason_of(error))


async def _call_and_log_error(what: str, work: Callable[[], Any]) -> None:
    try:
        result = work()
        if inspect.isawaitable(result):
            await result
    except Exception as error:
        _say(what, error)
