"""What a server imports, compiles, loads and checks before it forks: done once, inherited by every engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.contract.block import Samples
from antiphon.contract.params import Value
from antiphon.plugins import loader
from antiphon.runtime import paths
from antiphon.runtime.console import say
from antiphon.runtime.settings import ServeSettings
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
    chosen = synths.choose(settings.synth, loaded.factories["synths"])
    given: tuple[tuple[str, Value], ...] = ()
    if settings.scsynth:
        chosen, given = _joined(settings, chosen)
    if chosen.name == synths.NULL.name:
        told = folder / TOLD
        told.unlink(missing_ok=True)
        given = (("path", str(told)),)
        if settings.synth == "auto":
            say(synths.SILENT.removeprefix("antiphon: "))
    synths.use(synths.BackendChoice(chosen, given))
    path = settings.input_file
    return Warm(loaded, None if path is None else process.load_sound(path, settings.rate))


def _joined(
    settings: ServeSettings, chosen: synths.SynthInfo
) -> tuple[synths.SynthInfo, tuple[tuple[str, Value], ...]]:
    """What plays by a scsynth that runs already. `EngineError` where it cannot be joined."""
    from antiphon.runtime.settings import scsynth_address
    from antiphon.synth.sc.external_scsynth import meet

    meet(scsynth_address(settings.scsynth), settings.rate)
    return replace(chosen, backend="antiphon.synth.sc.external_client:joined"), (("scsynth", settings.scsynth),)
