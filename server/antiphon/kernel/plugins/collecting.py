"""Imports plugins one by one, and inspects and collects their registrations, with a `Failure` for each that fails.

Third-party plugins are tried in a child process first: one that hangs or crashes there is a `Failure`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from antiphon.kernel.contract.addresses import AddressInfo, AddressList
from antiphon.kernel.contract.catalog import Catalog, Failure, ProcessorInfo, TransportInfo
from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins.checks import CHECK_LIMIT, check_type_name, in_child, inspect_processor
from antiphon.kernel.plugins.dispatcher import HookDispatcher, addresses_of
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.plugins.known import KINDS, PLACED, PLAYED
from antiphon.kernel.runtime.importing import Factory, reason_of, resolve


class PluginLoading:
    """Collects processors, failures and factories while plugins load.

    `known`: the catalog of the built-in plugins, whose processors are then not inspected. `kinds`: the kinds collected.
    `inspected`: number of built-in processors that `known` lacked.
    """

    def __init__(self, check: bool, known: Catalog | None = None, kinds: Sequence[str] = KINDS) -> None:
        self.check, self.known, self.kinds = check, known, kinds
        self.inspected = 0
        self.hooks = HookDispatcher()
        self.types: dict[str, ProcessorInfo] = {}
        self.failures: list[Failure] = []
        self.transports: list[TransportInfo] = []
        self.addresses: list[AddressInfo] = []
        self.broken: dict[str, str] = {}
        self.factories: dict[str, dict[str, Factory]] = {kind: {} for kind in KINDS}
        self._places: dict[str, dict[str, str]] = {kind: {} for kind in PLACED}

    def fail(self, name: str, reason: str) -> None:
        """Adds a failure, with its reason in one sentence."""
        self.failures.append(Failure(name, reason))

    def catalog(self) -> Catalog:
        """Catalog of the collected declarations."""
        failures, transports = tuple(self.failures), tuple(self.transports)
        hooks, addresses = dict(self.hooks.implemented), tuple(self.addresses)
        # of a kind with a factory that is no text the plugins are asked again
        places = {kind: held for kind, held in self._places.items() if held.keys() == self.factories[kind].keys()}
        return Catalog(self.types, failures, hooks, transports, addresses=addresses, places=places)

    def try_and_add(self, name: str, importing: Callable[[], Any]) -> None:
        """Tries a plugin in a child process, then calls `add`."""
        reason = in_child(partial(_trial, name, importing, self.check), CHECK_LIMIT)
        if reason:
            self.fail(name, reason)
        else:
            self.add(name, importing)

    def add(self, name: str, importing: Callable[[], Any]) -> None:
        """Imports one plugin, registers its hooks and collects their registrations."""
        try:
            hooks = self.hooks.add(name, importing())
        except (Exception, SystemExit) as error:
            self.broken[name] = reason_of(error)
            self.fail(name, self.broken[name])
            return
        for kind in self.kinds:
            if f"antiphon_{kind}" in hooks:
                self._gather(kind, name)
        if self.kinds is PLAYED or not {"antiphon_addresses", "antiphon_operations"}.intersection(hooks):
            return
        if self.known is not None and name in BUILT_IN:
            self.addresses += [info for info in self.known.addresses if info.plugin == name]
        else:
            osc, failures = addresses_of(self.hooks, name)
            self.addresses += [info for info, _ in osc.added]
            self.failures += failures + self.hooks.call(
                "antiphon_operations", only=name, operations=_IgnoredOperations(osc)
            )

    def _gather(self, kind: str, plugin: str) -> None:
        entries: list[tuple[str, Any, str]] = []

        def register(name: str, factory: str | Factory, doc: str = "") -> None:
            entries.append((name, factory, doc))

        self.failures += self.hooks.call(f"antiphon_{kind}", only=plugin, register=register)
        for name, factory, doc in entries:
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
            self.types[name] = self._declaration_of(name, make, doc, plugin)
        elif kind == "transports":
            held = next((each for each in self.known.transports if each.name == name), None) if self.known else None
            self.transports.append(held or _transport(name, make, doc, plugin))
        self.factories[kind][name] = make
        if kind in PLACED and isinstance(factory, str):
            self._places[kind][name] = factory

    def _declaration_of(self, name: str, make: Factory, doc: str, plugin: str) -> ProcessorInfo:
        """Declaration of a processor, from `known` or by an inspection."""
        held = self.known.get(name) if self.known is not None and plugin in BUILT_IN else None
        if held is not None:
            return held
        if self.kinds is PLAYED and self.known is not None and plugin in BUILT_IN:
            raise PluginError(f"{name} failed where the plugins were loaded first")
        self.inspected += plugin in BUILT_IN
        return inspect_processor(name, make, doc, plugin, self.check and plugin not in BUILT_IN)


class _IgnoredOperations:
    """Takes operations, which the kernel does not use, so that their hook and addresses are tried."""

    def __init__(self, osc: AddressList) -> None:
        self._osc = osc

    def add(self, name: str, asked: Any, *given: Any, local: bool = False, **more: Any) -> None:
        """Raises PluginError: the operation would have an address that a plugin cannot have, or no docstring."""
        if not local:
            self._osc.add(f"/{name.replace(' ', '/')}", "", print, asked.__doc__ or "")


def _transport(name: str, make: Factory, doc: str, plugin: str) -> TransportInfo:
    """Declaration of a transport: the names of its options of `serve`, and its table."""
    made = make()
    options = tuple(option.name for option in getattr(made, "options", ()))
    return TransportInfo(name, doc, plugin, options, getattr(made, "table", ""), getattr(made, "always", False))


def _trial(name: str, importing: Callable[[], Any], check: bool) -> str:
    """Reason why the plugin fails as a whole, or "". Runs in the child."""
    loading = PluginLoading(check)
    loading.add(name, importing)
    return loading.broken.get(name, "")


def try_one_processor(name: str, importing: Callable[[], Any], kind: str) -> str:
    """Reason why one processor of a plugin fails on a block of zeros, or "". Runs in the child."""
    loading = PluginLoading(False)
    loading.add(name, importing)
    if kind not in loading.types:
        return "; ".join(failure.reason for failure in loading.failures)
    inspect_processor(kind, loading.factories["processors"][kind], loading.types[kind].doc, name)
    return ""
