"""Finds plugins, checks them, and says what loaded and what did not; one bad plugin stops no other.

Three places: the built-ins, installed packages with an entry point in the group `antiphon`, and the
performer's folder of plugin folders. What is not built in is tried in a child process first: a
plugin that hangs or crashes there is a `Failure`, not a server that never answers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pluggy

from antiphon.contract import hookspecs
from antiphon.contract.catalog import Catalog, Failure, ProcessorInfo
from antiphon.contract.processor import Processor
from antiphon.errors import PluginError
from antiphon.plugins.checks import check_type_name, in_child, inspect_processor, reason_of
from antiphon.runtime import paths
from antiphon.runtime.importing import import_folder, named, see_checkout_plugins
from antiphon.runtime.suggestion import instead

BUILT_IN = (
    "antiphon_accompany", "antiphon_denoise", "antiphon_hum", "antiphon_loops", "antiphon_model", "antiphon_synth",
    "antiphon_transfer", "antiphon_utilities",
)  # fmt: skip
GROUP = "antiphon"
CHECK_LIMIT = 5.0
"""Seconds a plugin that is not built in may take to import and pass its check."""

Factory = Callable[[], Any]
KINDS = ("processors", "synths", "models", "trainings", "evaluations", "transports")


@dataclass(slots=True)
class Loaded:
    """What loaded. catalog: plain data, for control.  factories: by kind of `KINDS`, then by name."""

    manager: pluggy.PluginManager
    catalog: Catalog = field(default_factory=Catalog)
    factories: dict[str, dict[str, Factory]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def make(self, name: str) -> Processor:
        """A fresh, unprepared processor of that type, or `PluginError`."""
        factory = self.factories["processors"].get(name)
        if factory is None:
            raise PluginError(f"there is no processor type {name!r}{instead(name, sorted(self.catalog))}")
        try:
            made = factory()
        except Exception as error:
            raise PluginError(f"the processor {name!r} cannot be made: {reason_of(error)}") from error
        if not isinstance(made, Processor):
            raise PluginError(f"the factory of {name!r} gave {type(made).__name__}, not a Processor")
        return made

    def call(self, hook: str, **given: Any) -> tuple[Failure, ...]:
        """Calls a hook of every plugin, each by itself; those that raised."""
        failures = []
        for name, one in self._each(hook):
            try:
                one(**given)
            except Exception as error:
                failures.append(Failure(name, f"{hook}: {reason_of(error)}"))
        return tuple(failures)

    async def acall(self, hook: str, **given: Any) -> tuple[Failure, ...]:
        """As `call`, for hooks that may be async: each is awaited before the next begins."""
        failures = []
        for name, one in self._each(hook):
            try:
                for result in one(**given):
                    if hasattr(result, "__await__"):
                        await result
            except Exception as error:
                failures.append(Failure(name, f"{hook}: {reason_of(error)}"))
        return tuple(failures)

    def _each(self, hook: str) -> Iterator[tuple[str, Callable[..., list[Any]]]]:
        everyone = [plugin for _, plugin in self.manager.list_name_plugin() if plugin is not None]
        for name, plugin in self.manager.list_name_plugin():
            if plugin is not None and hasattr(plugin, hook):
                others = [other for other in everyone if other is not plugin]
                yield name, self.manager.subset_hook_caller(hook, remove_plugins=others)


def get_plugin_manager() -> pluggy.PluginManager:
    """A manager that knows Antiphon's hooks and no plugin yet."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def load(plugins_dir: Path | None = None, *, check: bool = True) -> Loaded:
    """Loads every plugin there is.

    plugins_dir: the folder of plugin folders; None takes the performer's own.  check: puts a block
    of zeros through each processor; without it a declaration is still checked.
    """
    loading = PluginLoading(check)
    see_checkout_plugins()
    for name in BUILT_IN:
        loading.add(name, partial(importlib.import_module, name))
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        if not loading.knows(point.module):
            loading.try_and_add(point.module, point.load)
    for folder in _folders(plugins_dir if plugins_dir is not None else paths.plugins()):
        if loading.knows(folder.name):
            loading.fail(folder.name, f"{folder} has the name of a plugin that is already loaded; rename the folder")
        else:
            loading.try_and_add(folder.name, partial(import_folder, folder))
    return loading.loaded()


class PluginLoading:
    """What is gathered while plugins load."""

    def __init__(self, check: bool) -> None:
        self.check = check
        self.manager = get_plugin_manager()
        self.types: dict[str, ProcessorInfo] = {}
        self.failures: list[Failure] = []
        self.seen: set[str] = set()
        self.broken: dict[str, str] = {}
        self.factories: dict[str, dict[str, Factory]] = {kind: {} for kind in KINDS}

    def fail(self, name: str, reason: str) -> None:
        self.failures.append(Failure(name, reason))

    def knows(self, name: str) -> bool:
        return name in self.seen

    def loaded(self) -> Loaded:
        return Loaded(self.manager, Catalog(self.types, tuple(self.failures)), self.factories)

    def try_and_add(self, name: str, importing: Callable[[], Any]) -> None:
        """As `add`, if all of it goes well in a child process first."""
        reason = in_child(partial(self._trial, name, importing), CHECK_LIMIT)
        if reason:
            self.seen.add(name)
            self.fail(name, reason)
        else:
            self.add(name, importing)

    def _trial(self, name: str, importing: Callable[[], Any]) -> str:
        """Why the plugin fails as a whole, or "". Runs in the child."""
        self.add(name, importing)
        return self.broken.get(name, "")

    def add(self, name: str, importing: Callable[[], Any]) -> None:
        """Imports one plugin, registers its hooks and takes in what it registers."""
        self.seen.add(name)
        try:
            module = importing()
            self._register(module, name)
        except (Exception, SystemExit) as error:
            self.broken[name] = reason_of(error)
            self.fail(name, self.broken[name])
            return
        for kind in KINDS:
            if hasattr(module, f"antiphon_{kind}"):
                self._gather(kind, module, name)

    def _register(self, module: Any, name: str) -> None:
        unmarked = [
            key
            for key, item in vars(module).items()
            if key.startswith("antiphon_") and callable(item) and not hasattr(item, f"{hookspecs.PROJECT}_impl")
        ]
        if unmarked:
            raise PluginError(f"{unmarked[0]} is not marked as a hook; write @hookimpl above it")
        self.manager.register(module, name)
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            self.manager.unregister(module)
            hooks = ", ".join(key for key in vars(hookspecs) if key.startswith("antiphon_"))
            raise PluginError(f"{str(error).splitlines()[0]}; the hooks are: {hooks}") from None
        if not self.manager.get_hookcallers(module):
            self.manager.unregister(module)
            raise PluginError("it implements no hook; see docs/plugins.md")

    def _gather(self, kind: str, module: Any, plugin: str) -> None:
        others = [other for other in self.manager.get_plugins() if other is not module]
        caller = self.manager.subset_hook_caller(f"antiphon_{kind}", remove_plugins=others)
        made: list[tuple[str, Any, str]] = []

        def register(name: str, factory: str | Factory, doc: str = "") -> None:
            made.append((name, factory, doc))

        try:
            caller(register=register)
        except Exception as error:
            self.fail(plugin, f"antiphon_{kind}: {reason_of(error)}")
        for name, factory, doc in made:
            try:
                self._take(kind, name, factory, doc, plugin)
            except (Exception, SystemExit) as error:
                self.fail(str(name), f"{reason_of(error)} (plugin {plugin})")

    def _take(self, kind: str, name: str, factory: str | Factory, doc: str, plugin: str) -> None:
        check_type_name(name)
        if name in self.factories[kind]:
            owner = f", of {self.types[name].plugin}" if name in self.types else ""
            raise PluginError(f"there is one named {name!r} already{owner}; choose another name")
        make = resolve(factory)
        if kind == "processors":
            self.types[name] = inspect_processor(name, make, doc, plugin, self.check)
        self.factories[kind][name] = make


def resolve(factory: str | Factory) -> Factory:
    """The factory as a callable; "module:Name" is imported when it is called."""
    if callable(factory):
        return factory
    if not isinstance(factory, str) or not all(part for part in factory.partition(":")):
        raise PluginError(f'the factory is {factory!r}; a callable or "module:Name" is allowed')
    return partial(_made, factory)


def _made(where: str) -> Any:
    return named(where)()


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
