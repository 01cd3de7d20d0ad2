"""The control-side hooks of plugins: routes, transports, start, end, events.

Only other people's plugins are imported here; the built-ins have processors alone, and those are the engine's.
"""

from __future__ import annotations

import inspect
import logging
from importlib.metadata import entry_points
from typing import Any

log = logging.getLogger("antiphon.plugins.loader")


class Hooks:
    """Calls what plugins implement, one by one: what raises is said, and the rest goes on."""

    def __init__(self, failed: frozenset[str] = frozenset()) -> None:
        """failed: plugins that did not load and are left alone."""
        self._plugins: list[tuple[str, Any]] = []
        self._transports: list[tuple[str, Any]] = []
        self._failed = failed

    def load(self) -> None:
        """Imports the plugins there are beside the built-in ones."""
        points = [p for p in entry_points(group="antiphon") if not p.module.startswith("antiphon_")]
        folders = _folders()
        if not points and not folders:
            return
        from antiphon.runtime.importing import import_folder

        found = [(p.name, p.load) for p in points] + [(f.name, lambda f=f: import_folder(f)) for f in folders]
        for name, importing in found:
            if name in self._failed:
                continue
            try:
                self._plugins.append((name, importing()))
            except Exception as error:
                log.warning("plugin %s: %s", name, error)

    async def start(self, app: Any, http: Any) -> None:
        self.load()
        await self._call("antiphon_routes", http=http)
        await self._call("antiphon_transports", register=self._register)
        await self._call("antiphon_startup", app=app)
        for name, transport in self._transports:
            await self._try(f"transport {name}", transport.start, app)

    async def stop(self, app: Any) -> None:
        for name, transport in self._transports:
            await self._try(f"transport {name}", transport.stop)
        await self._call("antiphon_shutdown", app=app)

    def event(self, app: Any, event: dict[str, Any]) -> None:
        """Tells plugins what happened; called between turns, so they must return at once."""
        for name, module in self._plugins:
            hook = getattr(module, "antiphon_event", None)
            if hook is not None:
                try:
                    hook(app=app, event=event)
                except Exception as error:
                    log.warning("plugin %s: antiphon_event: %s", name, error)

    def _register(self, name: str, factory: Any, doc: str = "") -> None:
        from antiphon.plugins.loader import resolve

        self._transports.append((name, resolve(factory)()))

    async def _call(self, hook: str, **given: Any) -> None:
        for name, module in self._plugins:
            found = getattr(module, hook, None)
            if found is not None:
                await self._try(f"plugin {name}: {hook}", found, **given)

    async def _try(self, what: str, call: Any, *args: Any, **given: Any) -> None:
        try:
            result = call(*args, **given)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            log.warning("%s: %s: %s", what, type(error).__name__, error)


def _folders() -> list[Any]:
    from antiphon.runtime import paths

    root = paths.plugins()
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
