"""Loaded plugins: those with declarations on disk are imported when one of their types is made, the others at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins import known
from antiphon.kernel.plugins.finding import BUILT_IN, PluginSource, sources
from antiphon.kernel.plugins.known import KINDS, PLAYED
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.importing import Factory, reason_of, resolve
from antiphon.kernel.runtime.suggestion import instead

if TYPE_CHECKING:
    from antiphon.kernel.contract.processor import Processor
    from antiphon.kernel.plugins.collecting import PluginLoading

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
        return construct_processor(name, self.factories["processors"])

    def check(self, name: str) -> None:
        """Runs a block of zeros through a processor: in a child unless it is built in. Raises PluginError: it fails."""
        from antiphon.kernel.plugins.checks import CHECK_LIMIT, in_child, inspect_processor
        from antiphon.kernel.plugins.collecting import try_one_processor

        info = self.catalog[name]
        reason = ""
        try:
            if info.plugin in BUILT_IN:
                inspect_processor(info.type, self.factories["processors"][info.variant[0]], info.doc, info.plugin)
                return
            for source in sources():
                if source.name == info.plugin and not source.problem:
                    # as it is imported: a fresh interpreter has not done so
                    trial = partial(try_one_processor, source.name, source.importing, info.variant[0])
                    reason = in_child(trial, CHECK_LIMIT)
        except (Exception, SystemExit) as error:
            reason = reason_of(error)
        if reason:
            raise PluginError(f"the plugin {name!r} did not load: {reason}")


def construct_processor(name: str, factories: Mapping[str, Factory]) -> Processor:
    """Constructs a processor from the factories by type, like `Loaded.make`. `name`: with its variant, if any."""
    from antiphon.kernel.contract.processor import Processor

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
    alone = {source.name for source in found} <= {*BUILT_IN}
    same = held is not None and held.hooks.keys() == {source.name for source in found}
    if held is not None and alone and same and not check and not any(source.problem for source in found):
        return Loaded(held, KnownFactories(held, found))
    from antiphon.kernel.plugins.collecting import PluginLoading

    loading = PluginLoading(check, held)
    for source in found:
        if source.problem:
            loading.fail(source.name, source.problem)
        elif source.built_in:
            loading.add(source.name, source.importing)
        else:
            loading.try_and_add(source.name, source.importing)
    catalog = loading.catalog()
    # also where they were written beside a plugin that is gone, with which no start could use them alone
    if (loading.inspected or (alone and not same)) and not catalog.failures:
        known.write(made_of, catalog)
    return Loaded(catalog, loading.factories)


def declared_catalog() -> Catalog:
    """Declarations of the built-in processors that are on disk, without an import of a plugin."""
    return known.read(known.stamp(source.folder for source in sources(None) if source.built_in)) or Catalog({})


def load_again(catalog: Catalog) -> Loaded:
    """Loads the plugins that `load` gave to another process of this server, by its catalog: only the `PLAYED` kinds.

    Built-in processors are imported when they are made; other plugins are tried again, as their files may be new.
    """
    from antiphon.kernel.plugins.collecting import PluginLoading

    loading = PluginLoading(False, catalog, PLAYED)
    for source in sources():
        if source.problem or not _PLAYED_HOOKS.intersection(catalog.hooks.get(source.name, ())):
            continue
        add = loading.add if source.built_in else loading.try_and_add
        add(source.name, source.importing)
    return Loaded(catalog, loading.factories)


class KnownFactories(dict[str, dict[str, Factory]]):
    """Factories by kind and name, of plugins that are imported when one of their factories is requested.

    `known`: the catalog of these plugins, all of them built in.
    """

    def __init__(self, known: Catalog, found: Sequence[PluginSource]) -> None:
        super().__init__()
        for kind, held in known.places.items():
            self[kind] = {name: resolve(place) for name, place in held.items()}
        self.setdefault("processors", {name: partial(self._make, name) for name in known.types})
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
        from antiphon.kernel.plugins.collecting import PluginLoading

        loading = PluginLoading(False, self._known, (kind,))
        for plugin in plugins:
            loading.add(plugin, self._importing[plugin])
        return loading
