"""Calls the hooks of plugins in every process, each plugin's separately: an exception does not affect the others."""

from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pluggy

from antiphon.kernel.contract import hookspecs
from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.contract.catalog import Failure
from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime.importing import reason_of

Caller = Callable[..., list[Any]]
HOOKS = {key: item for key, item in vars(hookspecs).items() if key.startswith("antiphon_")}
"""The specification of each hook."""


def addresses_of(hooks: "HookDispatcher", plugin: str) -> tuple[AddressList, tuple[Failure, ...]]:
    """The OSC addresses that a plugin adds, and failures of its hook."""
    osc = AddressList(plugin)
    return osc, hooks.call("antiphon_addresses", only=plugin, osc=osc)


class HookDispatcher:
    """Added plugins and their hooks.

    `count`: by (plugin, hook), the number of exceptions; `implemented`: by plugin, the names of its hooks.
    """

    def __init__(self) -> None:
        # one manager per plugin: the hooks of a refused plugin stay in its own manager
        self._managers: dict[str, pluggy.PluginManager] = {}
        self.count: Counter[tuple[str, str]] = Counter()
        self.implemented: dict[str, tuple[str, ...]] = {}

    def add(self, name: str, module: Any) -> tuple[str, ...]:
        """Adds a plugin; returns the names of the hooks it implements."""
        unmarked = [
            key
            for key, item in vars(module).items()
            if key.startswith("antiphon_") and callable(item) and not hasattr(item, f"{hookspecs.PROJECT}_impl")
        ]
        if unmarked:
            raise PluginError(f"{unmarked[0]} is not marked as a hook; write @hookimpl above it")
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        try:
            manager.register(module, name)
            names = tuple(sorted(caller.name for caller in manager.get_hookcallers(module) or ()))
            # reading a specification takes as long as registering a plugin: only those of its own hooks are read
            if own := {key: HOOKS[key] for key in names if key in HOOKS}:
                specs = ModuleType(hookspecs.PROJECT)
                vars(specs).update(own)
                manager.add_hookspecs(specs)
        except pluggy.PluginValidationError as error:
            raise PluginError(" ".join(str(error).split())) from None
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"{str(error).splitlines()[0]}; the hooks are: {', '.join(HOOKS)}") from None
        if not names:
            raise PluginError("it implements no hook; see docs/plugins.md")
        self._managers[name], self.implemented[name] = manager, names
        return names

    def call(self, hook: str, only: str = "", **given: Any) -> tuple[Failure, ...]:
        """Calls a hook of every plugin that implements it, or only of the plugin `only`; returns the failures."""
        failures = []
        for name, caller in self._each(hook, only):
            try:
                for result in caller(**given):
                    if hasattr(result, "__await__"):
                        getattr(result, "close", lambda: None)()
                        raise PluginError("it is async, and this hook is not awaited; make it a plain function")
            except (Exception, SystemExit) as error:
                failures.append(self._failure(name, hook, error))
        return tuple(failures)

    async def call_and_await(self, hook: str, **given: Any) -> tuple[Failure, ...]:
        """Does what `call` does for hooks that may be async: each is awaited before the next begins."""
        failures = []
        for name, caller in self._each(hook):
            try:
                for result in caller(**given):
                    if hasattr(result, "__await__"):
                        await result
            except (Exception, SystemExit) as error:
                failures.append(self._failure(name, hook, error))
        return tuple(failures)

    def _each(self, hook: str, only: str = "") -> Iterator[tuple[str, Caller]]:
        """Yields each plugin that implements the hook, and a caller that passes the arguments it names."""
        for name, manager in self._managers.items():
            if hook in self.implemented[name] and (not only or name == only):
                yield name, getattr(manager.hook, hook)

    def _failure(self, name: str, hook: str, error: BaseException) -> Failure:
        self.count[name, hook] += 1
        return Failure(name, f"{hook}: {reason_of(error)}")
