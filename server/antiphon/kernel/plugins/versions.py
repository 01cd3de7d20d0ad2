"""Hot reload of plugins in a running process: switches a plugin's version, and rolls back.

A version's files are a copy in its own folder; the modules of another version are kept for existing processors.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins.collecting import PluginLoading
from antiphon.kernel.plugins.loader import Loaded, construct_processor
from antiphon.kernel.runtime import importing
from antiphon.kernel.runtime.importing import Factory
from antiphon.native.compiling import compile_all


def number_of(folder: str) -> int:
    """Number of a version, by its folder `…/NUMBER/PLUGIN`; 0 for "", the version at start."""
    return int(Path(folder).parent.name) if folder else 0


@dataclass(slots=True)
class _Version:
    """One imported version of a plugin. `modules`: its `sys.modules` entries while it is not in use."""

    types: Mapping[str, ProcessorInfo] = field(default_factory=dict)
    factories: Mapping[str, Factory] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)


class PluginVersions:
    """Processors of the versions in use. For one thread. `catalog`: the processor types."""

    def __init__(self, loaded: Loaded) -> None:
        self.catalog = loaded.catalog
        self._factories: Mapping[str, Factory] = loaded.factories["processors"]
        self._in_use: dict[str, str] = {}
        self._imported: dict[tuple[str, str], _Version] = {}

    def make(self, name: str) -> Processor:
        """Constructs a processor of the type `name`, without preparing it; `PluginError` on failure."""
        return construct_processor(name, self._factories)

    def use(self, versions: Mapping[str, str]) -> None:
        """Switches to these versions, as folders by plugin, for new processors.

        Other plugins get their version at start. Raises PluginError: a version cannot be imported; its plugin keeps the
        previous one.
        """
        for plugin in [name for name in self._in_use if name not in versions]:
            self._change(plugin, "")
        for plugin, folder in versions.items():
            if self._in_use.get(plugin, "") != folder:
                self._change(plugin, folder)

    def _change(self, plugin: str, folder: str) -> None:
        before = self._in_use.get(plugin, "")
        last = self._imported.setdefault((plugin, before), self._present(plugin))
        last.modules = importing.remove_modules(plugin)
        try:
            version = self._imported.get((plugin, folder)) or import_version(plugin, Path(folder))
        except BaseException:
            importing.remove_modules(plugin)
            sys.modules.update(last.modules)
            raise
        self._imported[plugin, folder] = version
        sys.modules.update(version.modules)
        others = {name: info for name, info in self.catalog.types.items() if info.plugin != plugin}
        factories = {name: make for name, make in self._factories.items() if name in others}
        self.catalog = replace(self.catalog, types={**others, **version.types})
        self._factories = {**factories, **version.factories}
        self._in_use[plugin] = folder
        if folder:
            importing.versions[plugin] = Path(folder)
        else:
            importing.versions.pop(plugin, None)

    def _present(self, plugin: str) -> _Version:
        types = {name: info for name, info in self.catalog.types.items() if info.plugin == plugin}
        return _Version(types, {name: make for name, make in self._factories.items() if name in types})


def import_version(plugin: str, folder: Path) -> _Version:
    """Imports a version, and compiles its kernels."""
    loading = PluginLoading(check=False)
    loading.add(plugin, partial(importing.import_folder, folder))
    if loading.failures:
        raise PluginError(loading.failures[0].reason)
    compile_all()
    types = {name: replace(info, version=number_of(str(folder))) for name, info in loading.types.items()}
    return _Version(types, loading.factories["processors"])
