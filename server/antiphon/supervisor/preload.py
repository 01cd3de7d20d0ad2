"""What a server imports, compiles, loads and checks before it forks: done once, inherited by every engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.contract.block import Samples
from antiphon.plugins import loader
from antiphon.runtime import paths
from antiphon.runtime.console import say
from antiphon.runtime.settings import ServeSettings
from antiphon.synth import backends
from antiphon.synth import info as synths
from antiphon.synth.info import TOLD

CATALOG = "catalog.json"


@dataclass(frozen=True, slots=True)
class Warm:
    """What an engine is forked with. sound: the decoded input file, float32 `[channels, frames]`, or None."""

    plugins: loader.Loaded
    sound: Samples | None


def warm(settings: ServeSettings, folder: Path) -> Warm:
    """Compiles, loads the plugins, writes their catalog into `folder`, decodes the input, chooses the synth."""
    from antiphon.engine import callback, loop, process  # noqa: F401 - warm for the fork
    from antiphon.native import compile_all

    compile_all()
    loaded = loader.load()
    compile_all()
    paths.write_atomic(folder / CATALOG, json.dumps(loaded.catalog.to_json()).encode())
    registered = loaded.factories["synths"]
    choice = backends.choice_with(settings, synths.BackendChoice(synths.choose(settings.synth, registered)))
    if choice.info.name == synths.NULL.name:
        told = folder / TOLD
        told.unlink(missing_ok=True)
        choice = replace(choice, settings=(("path", str(told)),))
        if settings.synth == "auto":
            say(synths.silence(registered))
    synths.use(choice)
    path = settings.input_file
    return Warm(loaded, None if path is None else process.load_sound(path, settings.rate))
