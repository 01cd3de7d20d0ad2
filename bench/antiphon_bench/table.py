"""The benches of this folder, by name: what runs each, how long it takes, and what it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

from antiphon_bench.entry import Bench, BenchOptions


def _bench(module: str, options: str, takes: float | None, needs: tuple[str, ...] = (), doc: str = "") -> Bench:
    """A bench by `main` of a module of this folder, which is imported only then.

    Args:
        module: Its name.
        options: The options that `main` is given: behind "=" what 0 stands for, behind "*" the seconds that each takes.
        takes: Seconds of all else; None where it depends on how many items there are.
        needs: As `Bench.needs`.
        doc: As `Bench.doc`.
    """
    words = [word.partition("*") for word in options.split()]
    rows = [(*told.partition("=")[::2], float(each or 0.0)) for told, _, each in words]

    def values(asked: BenchOptions) -> list[Any]:
        return [getattr(asked, name) or (json.loads(published) if published else 0) for name, published, _ in rows]

    def run(asked: BenchOptions) -> None:
        import_module(f"antiphon_bench.{module}").main(*values(asked))

    def seconds(asked: BenchOptions) -> float | None:
        costs = (each * value for value, (_, _, each) in zip(values(asked), rows, strict=True) if each)
        return None if takes is None else takes + sum(costs)

    return Bench(run, seconds, needs, doc)


# expected durations: from the lengths of the live runs, plus times measured on two cores
OWN = {
    "engine": _bench("engine", "seconds=60.0*3", 30.0),
    "events": _bench("events", "seed", 150.0),
    "osc": _bench("osc", "seconds=30.0*3", 10.0),
    "web": _bench("web", "seconds=10.0*15", 60.0),
    "classify": _bench("classify", "seconds=10.0*3", 60.0),
    "page": _bench("page.run", "seconds=4.0*9 seed", 103.0),
    "plan": _bench("plan", "seconds=10.0*6 seed", 20.0, ("pedalboard",)),
    "render": _bench("render", "", 60.0),
    "workers": _bench("workers.overhead", "seconds=60.0*2 seed", 300.0, ("torch",)),
    "models": _bench("models", "seconds=60.0*2 seed", 120.0),
    "swap": _bench("swap", "limit=1000*0.25 seed", 25.0),
    "live": _bench("live", "limit=1000*0.75 seed seconds=60.0*2", 30.0),
    "plugins": _bench("plugins", "", 300.0),
    "pipeline": _bench("pipeline", "seed limit", 120.0, ("pyarrow", "librosa")),
    "soak": _bench("soak.run", "hours*3600 out seed", 0.0),
}
"""Of the server."""
_CLOCK = "A MIDI clock followed and led through JACK: jitter of beats and ticks."
_EFFECTS = "The effects beside pedalboard: time a block, and null tests. --limit: blocks of each."
_SAMPLER = "What 64 voices cost, where notes begin, and 1,000 starts a second."
_SUPERCOLLIDER = (
    "scsynth through Antiphon beside a bare scsynth. --seconds: of patterns from sclang after the rest, 0 for none, "
    "600 as published; --limit: kills, and 50 notes each."
)
OF_PLUGINS = {
    "clock": _bench("midi.clock", "seconds=30.0*4 seed", 60.0, (), _CLOCK),
    "dirt": _bench(
        "dirt.minutes", "seconds=600.0*1", 10.0, (), "Minutes of real Tidal: what was late, and where it sounded."
    ),
    "effects": _bench("effects.comparison", "seed limit", 60.0, ("pedalboard", "librosa"), _EFFECTS),
    "sampler": _bench("sampler.voices", "seconds=10.0*4 seed", 10.0, (), _SAMPLER),
    "supercollider": replace(
        _bench("supercollider.comparison", "seconds=0.0 seed limit", None, (), _SUPERCOLLIDER),
        seconds=lambda asked: None if asked.limit else 900.0 + asked.seconds,
    ),
    "synth": replace(
        _bench("pyo.notes", "seconds=110.0 seed", None, (), "Where pyo's notes begin, and what its voices cost."),
        seconds=lambda asked: max(20.0, asked.seconds or 110.0) + 90.0,
    ),
}
"""Of plugins."""
