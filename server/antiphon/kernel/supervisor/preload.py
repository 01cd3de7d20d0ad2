"""Imports, kernels, plugins and the input file, loaded once before the fork and inherited by every engine."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.state import CATALOG
from antiphon.kernel.engine.levels import loop_sound
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.platform import PORTABLE, cores
from antiphon.kernel.runtime.processes.child_process import fork
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor.companions import Companions, NoteBackend
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.devices import Device

if TYPE_CHECKING:
    from antiphon.kernel.engine.drivers.base import DriverOptions
    from antiphon.kernel.engine.process import EngineParts

IMPORTS = {
    __name__: tuple(f"antiphon.kernel.engine.{name}" for name in ("callback", "loop", "process")),
    "antiphon.kernel.engine.plans.admission": (__name__,),
}
"""Imports of fresh interpreters for the first engine and weigher while `warm` runs, by the modules that they run."""


@dataclass(frozen=True, slots=True)
class PreloadedModules:
    """Modules and kernels that an engine inherits from the fork."""

    settings: ServeSettings
    plugins: loader.Loaded
    beside: Companions
    sound: Samples | None  # the decoded input file, float32 `[channels, frames]`, or None without `--input`
    types: frozenset[str] = frozenset()  # of the nodes of the patch of the start

    def __reduce__(self) -> Any:
        beside = Companions(read=self.beside.read, notes=self.beside.notes)  # what else stands there may not be copied
        return _again, (self.settings, self.loading(), beside, self.sound is not None)

    def loading(self) -> Loading:
        """Arguments of `load_again`."""
        return self.plugins.catalog, self.beside.notes, self.beside.notes.choice


Loading: TypeAlias = tuple[Catalog, NoteBackend, Any]


def warm(settings: ServeSettings, folder: Path, beside: Companions) -> PreloadedModules:
    """Loads kernels, plugins, input file and synth, for engines to fork with; the catalog as `CATALOG` in `folder`."""
    from antiphon.kernel.engine import callback, loop, process  # noqa: F401 - warm for the fork
    from antiphon.native.compiling import compile_all, declared_kernels

    count = 1 if PORTABLE else min(8, cores())
    compile_by_cores = partial(compile_all, count, partial(fork, name="compiler"))
    fresh = compile_by_cores()
    for item in declared_kernels():  # those of no plugin yet, without which nothing plays
        if item.error is not None:
            raise item.error
    if fresh:  # the first start: the plugins' kernels too, shared by the cores, before they run
        loader.load(check=False)
        compile_by_cores()
    loaded = loader.load()
    types = _patch_types(settings, loaded)
    compile_all()
    paths.write_atomic(folder / CATALOG, json.dumps(loaded.catalog.to_json()).encode())
    beside.notes.choose(settings, loaded.factories["synths"], folder)
    return replace(_ready(settings, loaded, beside, settings.input_file is not None), types=types)


def _patch_types(settings: ServeSettings, loaded: loader.Loaded) -> frozenset[str]:
    """Types of the nodes of the start's patch. Forked engines inherit the tables of the built-in ones."""
    from antiphon.kernel.graph.patch import load as load_patch  # which a copy that tries nodes does without

    types: set[str] = set()
    with contextlib.suppress(AntiphonError):  # control reports a patch, and the trial a node, that fails
        types |= {node.type for node in load_patch(settings.patch, loaded.catalog, trusted=True).graph.nodes}
        for name in () if PORTABLE else types:
            if loaded.catalog[name].plugin in BUILT_IN:
                loaded.check(name)
    return frozenset(types)


def load_again(loading: Loading, device: Device | None = None) -> loader.Loaded:
    """Loads the plugins that `warm` has loaded, with the same synth, in a process not forked from the supervisor.

    `device`: the workers' device, in a copy in which the weigher tries nodes.
    """
    catalog, notes, choice = loading
    if device is not None:
        devices.set_preferred_device(device)
    loaded = loader.load_again(catalog)
    notes.use(choice)  # not chosen anew: an option of it has changed what it plays by
    return loaded


def _again(settings: ServeSettings, loading: Loading, beside: Companions, sound: bool) -> PreloadedModules:
    from antiphon.kernel.engine import callback, loop, process  # noqa: F401 - their kernels are compiled
    from antiphon.native.compiling import compile_all

    loaded = load_again(loading)
    compile_all()
    return _ready(settings, loaded, beside, sound)


def play(
    warm: PreloadedModules, given: EngineParts, driver: str, options: DriverOptions, fifo: bool, synth: bool
) -> int:
    """Main function of an engine."""
    from antiphon.kernel.engine import process

    worker = warm.beside.notes.worker(options.rate, options.block) if synth else None
    return process.run(given, driver, options, warm.plugins, warm.sound, fifo=fifo, opens=worker)


def weigh(warm: PreloadedModules, requests: socket.socket, spec: StreamSpec, device: Device) -> int:
    """Main function of a forked weigher."""
    from antiphon.kernel.engine.plans import admission

    devices.set_preferred_device(device)
    return admission.run_weigher(requests, warm.plugins.catalog, lambda: warm.plugins, spec)


def _ready(settings: ServeSettings, loaded: loader.Loaded, beside: Companions, with_sound: bool) -> PreloadedModules:
    path = settings.input_file if with_sound else None
    sound = None if path is None else loop_sound(beside.read(path, settings.rate), settings.channels)
    resources.trim()
    gc.freeze()  # a collection in a forked process would write to every page with an object, and so copy it
    return PreloadedModules(settings, loaded, beside, sound)
