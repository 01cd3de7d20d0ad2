"""Watches the performer's plugins: checks a version in a process, uses it from the next bar, undoes it on failure."""

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from antiphon.kernel.contract.catalog import Catalog, Failure, ProcessorInfo
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.state import CATALOG, VERSIONS
from antiphon.kernel.errors import AntiphonError, PluginError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, ChildLimits, spawn
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.reloading import plugin_files
from antiphon.reloading.plugin_files import BEGUN, Stamp, VersionCheck

log = logging.getLogger("antiphon.plugins")
printed_log = logging.getLogger("antiphon.said")
PERIOD = 0.2
"""Interval in seconds between checks; a saved plugin is checked when two successive checks agree."""
BAR = 4.0
"""Beats of a bar; versions begin on bars."""
START_SECONDS = 60.0
"""Timeout in seconds for the start of a check: its interpreter starts on a possibly busy machine."""
RECENT_SECONDS = 60.0
"""Seconds after which a version is no longer rolled back: a later failure may have other causes."""
LIMITS = ChildLimits(nice=10, data=8 << 30)
"""Limits of a check: the running sound has priority."""
GRACE = 2.0
"""Seconds beyond its limit after which a check is killed."""


@dataclass(frozen=True, slots=True)
class _Before:
    """Previous version of a plugin. `until`: end of the rollback period, by `monotonic`."""

    types: Mapping[str, ProcessorInfo]
    folder: str
    until: float = 0.0


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Lets control watch the performer's plugins; a function of `Companions.control`."""
    if not settings.no_watch_plugins:
        app.services.append(("the plugins' files", PluginWatch(app, paths.plugins()).serve))


class PluginWatch:
    """Service of control: watches the files, and checks and activates changed plugins, one at a time."""

    def __init__(self, server: OscServer, root: Path) -> None:
        """`root`: the folder of the performer's plugins; its current files count as loaded."""
        self._link, self._session, self._catalog = server.link, server.session, server.catalog
        self._folder, self._plans, self._feedback = server.folder, server.plans, server.feedback
        self._events, self._faults, self._turns = server.events, server.faults, server.turns
        self._root = root
        self._known: dict[str, Stamp] = self._stamps()
        self._seen = dict(self._known)
        self._before: dict[str, _Before] = {}

    def _stamps(self) -> dict[str, Stamp]:
        names = plugin_files.plugin_folders(self._root)
        return {name: plugin_files.change_stamp(os.path.join(self._root, name)) for name in names}

    async def serve(self) -> None:
        """Checks every `PERIOD` seconds until it is cancelled."""
        listeners = self._events.listeners
        listeners.append(self._node)
        try:
            while True:
                await asyncio.sleep(PERIOD)
                for name in self.changed_plugins():
                    await self.renew(name)
        finally:
            listeners.remove(self._node)

    def changed_plugins(self) -> list[str]:
        """Plugins whose files differ from those last checked, and are not being written."""
        now = self._stamps()
        names = [name for name, stamp in now.items() if stamp and stamp not in (self._known.get(name), ())]
        still = [name for name in names if self._seen.get(name) == now[name]]
        self._known |= {name: now[name] for name in still}
        self._seen = now
        return still

    async def renew(self, name: str) -> None:
        """Checks a plugin's present files, and activates them from the next bar on."""
        try:
            root = self._folder.folder / VERSIONS
            folder = await asyncio.to_thread(plugin_files.copy, self._root / name, root)
            try:
                checked = await self._check(name, folder)
            except AntiphonError:
                await asyncio.to_thread(shutil.rmtree, folder.parent, ignore_errors=True)
                raise
        except AntiphonError as error:
            self._fail(name, str(error))
            return
        self._faults.attempt(f"the plugin {name}", partial(self._use, name, str(folder), checked))

    async def _check(self, name: str, folder: Path) -> Catalog:
        """Checks a version and returns its declarations. Raises `PluginError` if the check fails."""
        status, graph = self._link.status(), self._session.state.current()
        mine = {info.type for info in self._catalog.types.values() if info.plugin == name}
        nodes = tuple((node.type, node.values) for node in graph.nodes if node.type in mine)
        asked = VersionCheck(str(folder), str(self._root / name), status.rate, status.block, status.channels, nodes)
        child = spawn("antiphon.reloading.plugin_check:main", limits=LIMITS)
        answer: dict[str, Any] = {}
        try:
            child.send(asked.to_json())
            if await child.await_answer(START_SECONDS) == BEGUN:
                answer = await child.await_answer(asked.limit + GRACE)
        except TimeoutError:
            raise PluginError(f"its check took longer than {asked.limit:g} s") from None
        except CHILD_FAULTS:
            pass
        finally:
            code = await asyncio.to_thread(child.close) or 0
        if not answer:
            raise PluginError(f"its check crashed (signal {-code})" if code < 0 else "its check ended too early")
        if "problem" in answer:
            raise PluginError(answer["problem"])
        return Catalog.from_json(answer)

    def _use(self, name: str, folder: str, checked: Catalog) -> None:
        types = {info.type: info for info in self._catalog.types.values() if info.plugin == name}
        before = _Before(types, self._catalog.versions.get(name, ""))

        def playing() -> None:
            self._before[name] = replace(before, until=monotonic() + RECENT_SECONDS)
            self._settle(name, f"{name}: its new version plays" if types else f"{name}: the new plugin is there")

        try:
            catalog = self._catalog.with_version(name, checked.types, folder)
            catalog.hooks = {**catalog.hooks, **checked.hooks}
            self._plans.renew(catalog, BAR if types else 0.0, playing, partial(self._fail, name))
        except AntiphonError as error:
            self._fail(name, str(error))
        self._turns.finish()

    def _settle(self, name: str, line: str) -> None:
        """Stores the catalog of a running version for processes that start later."""
        self._set_failure(name, "")
        data = json.dumps(self._catalog.to_json()).encode()
        self._faults.attempt("the catalog", partial(paths.write_atomic, self._folder.folder / CATALOG, data))
        printed_log.info("%s", line)
        self._feedback.event("/plugin/loaded", name)
        self._events.publish("plugin", name=name, reason="")

    def _fail(self, name: str, reason: str) -> None:
        there = any(info.plugin == name for info in self._catalog.types.values())
        log.warning("plugin %s: %s%s", name, reason, "; the version before plays on" if there else "")
        self._set_failure(name, reason)
        self._feedback.event("/plugin/failed", name, reason)
        self._events.publish("plugin", name=name, reason=reason)
        self._turns.schedule_finish()

    def _set_failure(self, name: str, reason: str) -> None:
        catalog = self._catalog
        types = {info.type for info in catalog.types.values() if info.plugin == name}
        others = tuple(f for f in catalog.failures if f.name != name and f.name not in types)
        catalog.failures = (*others, Failure(name, reason)) if reason else others

    def _node(self, event: dict[str, Any]) -> None:
        if event["kind"] != "node" or event["state"] != "failed":
            return
        node = self._session.state.nodes.get(event["node"])
        before = self._before.pop(node.info.plugin, None) if node is not None else None
        if node is None or before is None or monotonic() > before.until:
            return
        name, reason = node.info.plugin, f"{node.name} failed: {event['reason']}"

        def playing() -> None:
            self._settle(name, f"{name}: the version before plays again")
            self._set_failure(name, reason)

        try:
            catalog = self._catalog.with_version(name, before.types, before.folder)
            self._plans.renew(catalog, 0.0, playing, partial(self._fail, name))
            self._fail(name, reason)
        except AntiphonError as error:
            self._fail(name, str(error))
