"""Loads and checks plugins, and collects failures; a plugin that fails does not affect the others.

Third-party plugins are tried in a child process first: one that hangs or crashes there is a `Failure`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.contract.catalog import Catalog, Failure, ProcessorInfo, TransportInfo
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins import known
from antiphon.kernel.plugins.checks import check_type_name, in_child, inspect_processor
from antiphon.kernel.plugins.dispatcher import HookDispatcher, addresses_of
from antiphon.kernel.plugins.finding import BUILT_IN, PluginSource, sources
from antiphon.kernel.plugins.version_files import CHECK_LIMIT
from antiphon.kernel.runtime.distributions import advice
from antiphon.kernel.runtime.importing import Factory, reason_of, resolve
from antiphon.kernel.runtime.suggestion import instead

PLAYED = ("processors", "synths")
"""Kinds that an engine plays."""
KINDS = (*PLAYED, "models", "trainings", "evaluations", "benches", "transports", "analyses", "services")

_PLAYED_HOOKS = frozenset(f"antiphon_{kind}" for kind in PLAYED)


@dataclass(slots=True)
class Loaded:
    """Loaded plugins.

    `factories`: by kind ("processors", "synths", "models", "trainings", "evaluations", "transports"), then by name.
    """

    catalog: Catalog = field(default_factory=Catalog)
    factories: dict[str, dict[str, Factory]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def make(self, name: str) -> Processor:
        """Constructs a processor. Raises PluginError: there is no such type, or its factory fails."""
        return construct(name, self.factories["processors"])

    def check(self, name: str) -> None:
        """Runs a block of zeros through a processor: in a child unless it is built in. Raises PluginError: it fails."""
        info = self.catalog[name]
        reason = ""
        try:
            if info.plugin in BUILT_IN:
                inspect_processor(info.type, self.factories["processors"][info.variant[0]], info.doc, info.plugin)
                return
            for source in sources():
                if source.name == info.plugin and not source.problem:
                    # as it is imported: a fresh interpreter has not done so
                    trial = partial(_trial_of, source.name, source.importing, info.variant[0])
                    reason = in_child(trial, CHECK_LIMIT)
        except (Exception, SystemExit) as error:
            reason = reason_of(error)
        if reason:
            raise PluginError(f"the plugin {name!r} did not load: {reason}")


def construct(name: str, factories: Mapping[str, Factory]) -> Processor:
    """Constructs a processor from the factories by type, as `Loaded.make`. `name`: with its variant, if it has one."""
    name, _, variant = name.partition(" ")
    factory = factories.get(name)
    if factory is None:
        raise PluginError(
            advice("node", name) or f"there is no processor type {name!r}{instead(name, sorted(factories))}"
        )
    try:
        processor = factory()
    except Exception as error:
        raise PluginError(f"the processor {name!r} cannot be made: {reason_of(error)}") from error
    if not isinstance(processor, Processor):
        raise PluginError(f"the factory of {name!r} gave {type(processor).__name__}, not a Processor")
    if variant:
        processor.settings[processor.variants.partition("=")[0]] = variant
    return processor


def load(plugins_dir: Path | None = None, *, check: bool = True) -> Loaded:
    """Loads every plugin: built-in, installed, and in the performer's folder.

    `plugins_dir`: the folder of plugin folders; None for the performer's own. `check`: run a block of zeros through
    each processor that is not built in; otherwise only its declaration is checked.
    """
    found = sources(plugins_dir)
    made_of = known.stamp(source.folder for source in found if source.built_in)
    held = known.read(made_of)
    known_alone = held is not None and held.hooks.keys() == {source.name for source in found} <= {*BUILT_IN}
    if held is not None and known_alone and not check and not any(source.problem for source in found):
        return Loaded(held, KnownFactories(held, found))
    loading = PluginLoading(check, held)
    for source in found:
        if source.problem:
            loading.fail(source.name, source.problem)
        elif source.built_in:
            loading.add(source.name, source.importing)
        else:
            loading.try_and_add(source.name, source.importing)
    loaded = loading.loaded()
    if loading.inspected and not loaded.catalog.failures:
        known.write(made_of, loaded.catalog)
    return loaded


def load_again(catalog: Catalog) -> Loaded:
    """What `load` gave to another process of this server, by its catalog: what is played, no more.

    Processors that are built in are imported when they are made; what is not is tried again, as its files may be new.
    """
    loading = PluginLoading(False, catalog, PLAYED)
    for source in sources():
        if source.problem or not _PLAYED_HOOKS.intersection(catalog.hooks.get(source.name, ())):
            continue
        add = loading.add if source.built_in else loading.try_and_add
        add(source.name, source.importing)
    return replace(loading.loaded(), catalog=catalog)


class PluginLoading:
    """Collects processors, failures and factories while plugins load.

    `known`: the catalog of what is built in, whose processors are then not inspected. `kinds`: what is collected.
    `inspected`: how many processors that are built in `known` lacked.
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

    def fail(self, name: str, reason: str) -> None:
        """Adds a failure, with its reason in one sentence."""
        self.failures.append(Failure(name, reason))

    def loaded(self) -> Loaded:
        """Returns the result."""
        failures, transports = tuple(self.failures), tuple(self.transports)
        hooks, addresses = dict(self.hooks.implemented), tuple(self.addresses)
        return Loaded(Catalog(self.types, failures, hooks, transports, addresses=addresses), self.factories)

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
            self.failures += failures
            self.addresses += [info for info, _ in osc.added]

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
            self.types[name] = self._declared(name, make, doc, plugin)
        elif kind == "transports":
            held = next((each for each in self.known.transports if each.name == name), None) if self.known else None
            self.transports.append(held or _transport(name, make, doc, plugin))
        self.factories[kind][name] = make

    def _declared(self, name: str, make: Factory, doc: str, plugin: str) -> ProcessorInfo:
        """Declaration of a processor: as it is known, or by an inspection."""
        held = self.known.get(name) if self.known is not None and plugin in BUILT_IN else None
        if held is not None:
            return held
        if self.kinds is PLAYED and self.known is not None and plugin in BUILT_IN:
            raise PluginError(f"{name} failed where the plugins were loaded first")
        self.inspected += plugin in BUILT_IN
        return inspect_processor(name, make, doc, plugin, self.check and plugin not in BUILT_IN)


class KnownFactories(dict[str, dict[str, Factory]]):
    """Factories by kind and name, of plugins that are imported when one of theirs is asked for.

    `known`: the catalog of these plugins, all of them built in.
    """

    def __init__(self, known: Catalog, found: Sequence[PluginSource]) -> None:
        super().__init__(processors={name: partial(self._make, name) for name in known.types})
        self._known, self._importing = known, {source.name: source.importing for source in found}

    def __missing__(self, kind: str) -> dict[str, Factory]:
        hook = f"antiphon_{kind}"
        wanted = [plugin for plugin, hooks in self._known.hooks.items() if hook in hooks]
        self[kind] = self._loading(kind, wanted).factories[kind]
        return self[kind]

    def _make(self, name: str) -> Processor:
        plugin = self._known.types[name].plugin
        loading = self._loading("processors", [plugin])
        if plugin in loading.broken:
            raise PluginError(loading.broken[plugin])
        make = self["processors"][name] = loading.factories["processors"][name]
        made: Processor = make()
        return made

    def _loading(self, kind: str, plugins: Sequence[str]) -> PluginLoading:
        loading = PluginLoading(False, self._known, (kind,))
        for plugin in plugins:
            loading.add(plugin, self._importing[plugin])
        return loading


def _transport(name: str, make: Factory, doc: str, plugin: str) -> TransportInfo:
    """Declaration of a transport: the names of its options of `serve`, and its table."""
    made = make()
    options = tuple(option.name for option in getattr(made, "options", ()))
    return TransportInfo(name, doc, plugin, options, getattr(made, "table", ""))


def _trial(name: str, importing: Callable[[], Any], check: bool) -> str:
    """Reason why the plugin fails as a whole, or "". Runs in the child."""
    loading = PluginLoading(check)
    loading.add(name, importing)
    return loading.broken.get(name, "")


def _trial_of(name: str, importing: Callable[[], Any], kind: str) -> str:
    """Reason why one processor of a plugin fails on a block of zeros, or "". Runs in the child."""
    loading = PluginLoading(False)
    loading.add(name, importing)
    if kind not in loading.types:
        return "; ".join(failure.reason for failure in loading.failures)
    inspect_processor(kind, loading.factories["processors"][kind], loading.types[kind].doc, name)
    return ""
