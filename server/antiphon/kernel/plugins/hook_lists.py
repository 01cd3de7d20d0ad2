"""Index of hooks and of places, cached by modification times: a command imports no unchanged plugin; registrations."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.importing import Factory, resolve

if TYPE_CHECKING:
    from antiphon.kernel.plugins.dispatcher import HookDispatcher
    from antiphon.kernel.plugins.finding import PluginSource


def import_plugins(wanted: Collection[str], failed: Callable[[str, BaseException], None]) -> HookDispatcher:
    """Imports plugins in load order, for their hooks; `failed` gets name and exception of each that is left out."""
    from antiphon.kernel.plugins.dispatcher import HookDispatcher
    from antiphon.kernel.plugins.finding import sources

    dispatcher = HookDispatcher()
    for source in sources():
        if source.name in wanted and not source.problem:
            try:
                dispatcher.add(source.name, source.importing())
            except (Exception, SystemExit) as error:
                failed(source.name, error)
    return dispatcher


NAME = "hooks"
PLACED = ("analyses", "services", "synths")
"""Kinds of registrations whose places are kept."""


@dataclass(frozen=True, slots=True)
class HookLists:
    """The hooks of all plugins, in load order.

    `hooks`: by plugin, the names of the hooks it implements; `failures`: by plugin, why it cannot be imported;
    `places`: by built-in plugin and kind, name, "module:Name" and doc of each registration.
    """

    hooks: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    places: dict[str, dict[str, list[list[str]]]] = field(default_factory=dict)

    def plugins_with_hook(self, hook: str) -> set[str]:
        """Plugins that implement this hook."""
        return {plugin for plugin, hooks in self.hooks.items() if hook in hooks}


def hook_lists() -> HookLists:
    """Hooks of all plugins, from the cache if no file has changed."""
    places = [str(paths.plugins()), *_stamp(paths.plugins()), *paths.package_places()]
    with contextlib.suppress(KeyError, TypeError):
        cached = paths.read_kept(NAME, places)
        if all(_times(Path(at)) == times for at, times in cached["folders"].items()):
            return HookLists(**cached["lists"])
    from antiphon.kernel.plugins.finding import sources  # imported here: it is slow, and not needed with a cache

    plugin_sources = sources()
    folders = {str(source.folder): _times(source.folder) for source in plugin_sources if source.folder is not None}
    lists = _read(plugin_sources)
    paths.keep(NAME, places, {"folders": folders, "lists": asdict(lists)})
    return lists


def _read(plugin_sources: Iterable[PluginSource]) -> HookLists:
    """Imports all plugins; third-party ones in a child process that may hang or crash."""
    from antiphon.kernel.runtime.importing import reason_of

    lists = HookLists()
    for source in plugin_sources:
        if source.problem:
            lists.failures[source.name] = source.problem
            continue
        if source.built_in:
            try:
                answer = _hooks_as_json(source)
            except (Exception, SystemExit) as error:
                answer = reason_of(error)
        else:
            from antiphon.kernel.plugins.checks import CHECK_LIMIT, in_child

            answer = in_child(partial(_hooks_as_json, source), CHECK_LIMIT)
        try:
            found = json.loads(answer)
            lists.hooks[source.name] = found["hooks"]
            if source.built_in:
                lists.places[source.name] = found["places"]
        except (ValueError, KeyError, TypeError):
            lists.failures[source.name] = answer
    return lists


def _hooks_as_json(source: PluginSource) -> str:
    from antiphon.kernel.plugins.dispatcher import HookDispatcher

    dispatcher, places = HookDispatcher(), dict[str, list[tuple[Any, ...]]]()
    hooks = dispatcher.add(source.name, source.importing())
    for kind in PLACED if source.built_in else ():
        found: list[tuple[Any, ...]] = []
        failures = dispatcher.call(f"antiphon_{kind}", register=lambda *given, to=found: to.append(given))
        if found and not failures and all(isinstance(factory, str) for _, factory, *_ in found):
            places[kind] = found
    return json.dumps({"hooks": hooks, "places": places})


def _times(folder: Path) -> list[list[Any]]:
    return [[file.name, *_stamp(file)] for file in sorted(folder.glob("*.py"))]


def _stamp(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError:
        return [0, 0]
    return [stat.st_mtime_ns, stat.st_size]


@dataclass(frozen=True, slots=True)
class Registration:
    """A factory that a plugin registered under a name. `doc`: one line for people."""

    factory: Factory
    doc: str = ""


def factories(kind: str) -> dict[str, Factory]:
    """Factories of `registrations` by name."""
    return {name: registration.factory for name, registration in registrations(kind).items()}


def registrations(kind: str) -> dict[str, Registration]:
    """Registrations of the hook `antiphon_KIND` by name; of duplicates the first, as in the loader.

    Of plugins that implement the hook, those without known places are imported. A failing one is left out: the loader,
    `antiphon plugins` and `antiphon doctor` report it.
    """
    result: dict[str, Registration] = {}
    hook, lists = f"antiphon_{kind}", hook_lists()

    def register(name: str, factory: str | Factory, doc: str = "") -> None:
        result.setdefault(name, Registration(resolve(factory), doc))

    placed = {plugin: places[kind] for plugin, places in lists.places.items() if kind in places}
    wanted = lists.plugins_with_hook(hook)
    dispatcher = import_plugins(left, lambda name, error: None) if (left := wanted - placed.keys()) else None
    for plugin in lists.hooks:
        for entry in placed.get(plugin, ()):
            register(*entry)
        if dispatcher is not None and plugin in dispatcher.implemented:
            dispatcher.call(hook, only=plugin, register=register)
    return result


@cache
def service(name: str) -> Any:
    """The service of that name, made once in a process. Raises PluginError: no plugin has registered it."""
    found = factories("services")
    if name not in found:
        raise PluginError(f"no plugin offers the service {name!r}; `antiphon plugins` says which plugins there are")
    return found[name]()
