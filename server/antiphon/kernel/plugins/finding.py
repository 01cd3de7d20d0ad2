"""Lists plugins without importing them: built-in, installed, and in the performer's folder.

Installed packages have an entry point in the group `antiphon`; a plugin of the performer is a folder in the plugin
folder. All processes use the same list.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.importing import add_checkout_plugins, import_folder

BUILT_IN = (
    "antiphon_accompany", "antiphon_answer", "antiphon_clip", "antiphon_denoise", "antiphon_dirt", "antiphon_effects",
    "antiphon_follow", "antiphon_host", "antiphon_hum", "antiphon_identify", "antiphon_latent", "antiphon_library",
    "antiphon_lights", "antiphon_link", "antiphon_listen", "antiphon_loops", "antiphon_mcp", "antiphon_midi",
    "antiphon_model", "antiphon_models", "antiphon_mosaic", "antiphon_mqtt", "antiphon_notes", "antiphon_pyo",
    "antiphon_record", "antiphon_room", "antiphon_sampler", "antiphon_sing", "antiphon_soundfont", "antiphon_stems",
    "antiphon_supercollider", "antiphon_synth", "antiphon_transfer", "antiphon_utilities", "antiphon_classify",
)  # fmt: skip
"""What ships, in load order; `make docs` writes it."""
GROUP = "antiphon"


@dataclass(frozen=True, slots=True)
class PluginSource:
    """A plugin before it is imported.

    `folder`: the folder of its files; None if unknown. `problem`: why it cannot be imported; "" if it may be tried.
    """

    name: str
    importing: Callable[[], Any]
    folder: Path | None = None
    problem: str = ""

    @property
    def built_in(self) -> bool:
        return self.name in BUILT_IN


def sources(plugins_dir: Path | None = None) -> list[PluginSource]:
    """All plugins in load order; `plugins_dir` None takes the performer's own folder."""
    add_checkout_plugins()
    # the kernel also runs with only some of them
    here = {name: place for name in BUILT_IN if (place := _place(name)) is not None}
    result = {name: PluginSource(name, partial(importlib.import_module, name), place) for name, place in here.items()}
    for point in _installed_plugins(tuple(map(tuple, paths.package_places()))):
        if point.module not in result:
            result[point.module] = PluginSource(point.module, point.load, _place(point.module))
    double = []
    for folder in _folders(plugins_dir if plugins_dir is not None else paths.plugins()):
        problem = paths.untrusted_folder_reason(folder.parent, folder)
        source = PluginSource(folder.name, partial(import_folder, folder), folder, problem)
        if folder.name in result:
            problem = f"{folder} has the name of a plugin that is already loaded; rename the folder"
            double.append(PluginSource(source.name, source.importing, folder, problem))
        else:
            result[source.name] = source
    return [*result.values(), *double]


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin of an installed package, by its entry point: "module" or "module:attribute"."""

    name: str
    value: str

    @property
    def module(self) -> str:
        """Module of the plugin."""
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """Imports the plugin."""
        from importlib.metadata import EntryPoint

        return EntryPoint(self.name, self.value, GROUP).load()


@lru_cache(maxsize=1)
def _installed_plugins(places: tuple[tuple[str, int], ...]) -> list[InstalledPlugin]:
    """Plugins of installed packages. Reading all entry points takes as long as loading ten plugins: they are kept, and
    read again only if a folder of `places`, which are searched for packages, has another modification time."""
    points = paths.read_kept("installed", places)
    if points is None:
        from importlib.metadata import entry_points  # 20 ms, and many import this module for `BUILT_IN` alone

        points = sorted((point.name, point.value) for point in entry_points(group=GROUP))
        paths.keep("installed", places, points)
    return [InstalledPlugin(*point) for point in points]


def _place(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
