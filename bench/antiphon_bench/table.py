"""The benches of this folder, by name: what runs each, how long it takes, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from antiphon_bench.entry import Bench, BenchOptions


def _main(module: str, arguments: Callable[[BenchOptions], tuple[Any, ...]]) -> Callable[[BenchOptions], None]:
    """Runs `main` of a module of this folder, which is imported only then. arguments: of it, from the options."""

    def run(asked: BenchOptions) -> None:
        import_module(f"antiphon_bench.{module}").main(*arguments(asked))

    return run


# expected durations: from the lengths of the live runs, plus times measured on two cores
OWN = {
    "engine": Bench(
        _main("engine", lambda asked: (asked.seconds or 60.0,)), lambda asked: 3 * (asked.seconds or 60.0) + 50.0
    ),
    "events": Bench(_main("events", lambda asked: (asked.seed,)), lambda _: 150.0),
    "osc": Bench(
        _main("osc", lambda asked: (asked.seconds or 30.0,)), lambda asked: 3 * (asked.seconds or 30.0) + 10.0
    ),
    "web": Bench(
        _main("web", lambda asked: (asked.seconds or 10.0,)), lambda asked: 15 * ((asked.seconds or 10.0) + 3.0) + 15.0
    ),
    "classify": Bench(
        _main("classify", lambda asked: (asked.seconds or 10.0,)), lambda asked: 3 * (asked.seconds or 10.0) + 60.0
    ),
    "page": Bench(
        _main("page.run", lambda asked: (asked.seconds or 4.0, asked.seed)),
        lambda asked: 9 * ((asked.seconds or 4.0) + 2.0) + 85.0,
    ),
    "plan": Bench(
        _main("plan", lambda asked: (asked.seconds or 10.0, asked.seed)),
        lambda asked: 6 * (asked.seconds or 10.0) + 20.0,
        needs=("pedalboard",),
    ),
    "render": Bench(_main("render", lambda _: ()), lambda _: 60.0),
    "workers": Bench(
        _main("workers.overhead", lambda asked: (asked.seconds or 60.0, asked.seed)),
        lambda asked: 2 * (asked.seconds or 60.0) + 300.0,
        needs=("torch",),
    ),
    "models": Bench(
        _main("models", lambda asked: (asked.seconds or 60.0, asked.seed)),
        lambda asked: 2 * (asked.seconds or 60.0) + 120.0,
    ),
    "swap": Bench(
        _main("swap", lambda asked: (asked.limit or 1000, asked.seed)),
        lambda asked: 0.25 * (asked.limit or 1000) + 25.0,
    ),
    "live": Bench(
        _main("live", lambda asked: (asked.limit or 1000, asked.seed, asked.seconds or 60.0)),
        lambda asked: 0.75 * (asked.limit or 1000) + 2 * (asked.seconds or 60.0) + 30.0,
    ),
    "plugins": Bench(_main("plugins", lambda asked: (asked.data, asked.seed, asked.limit)), lambda _: None),
    "pipeline": Bench(
        _main("pipeline", lambda asked: (asked.seed, asked.limit)), lambda _: 120.0, needs=("pyarrow", "librosa")
    ),
    "soak": Bench(
        _main("soak.run", lambda asked: (asked.hours, asked.out, asked.seed)), lambda asked: 3600.0 * asked.hours
    ),
}
"""Of the server."""
OF_PLUGINS = {
    "clock": Bench(
        _main("midi.clock", lambda asked: (asked.seconds or 30.0, asked.seed)),
        lambda asked: 4.0 * ((asked.seconds or 30.0) + 15.0),
        doc="A MIDI clock followed and led through JACK: jitter of beats and ticks.",
    ),
    "denoise": Bench(
        _main("denoise", lambda asked: (asked.data, asked.seed, asked.limit)),
        lambda _: None,
        doc="The denoiser beside its peers, on mixtures.",
    ),
    "dirt": Bench(
        _main("dirt.minutes", lambda asked: (asked.seconds or 600.0,)),
        lambda asked: (asked.seconds or 600.0) + 10.0,
        doc="Minutes of real Tidal: what was late, and where it sounded.",
    ),
    "effects": Bench(
        _main("effects.comparison", lambda asked: (asked.seed, asked.limit)),
        lambda _: 60.0,
        needs=("pedalboard", "librosa"),
        doc="The effects beside pedalboard: time a block, and null tests. --limit: blocks of each.",
    ),
    "sampler": Bench(
        _main("sampler.voices", lambda asked: (asked.seconds or 10.0, asked.seed)),
        lambda asked: 4.0 * (asked.seconds or 10.0) + 10.0,
        doc="What 64 voices cost, where notes begin, and 1,000 starts a second.",
    ),
    "supercollider": Bench(
        _main("supercollider.comparison", lambda asked: (asked.seconds, asked.seed, asked.limit)),
        lambda asked: None if asked.limit else 900.0 + asked.seconds,
        doc="scsynth through Antiphon beside a bare scsynth. --seconds: of patterns from sclang after the rest, 0 for "
        "none, 600 as published; --limit: kills, and 50 notes each.",
    ),
    "synth": Bench(
        _main("pyo.notes", lambda asked: (asked.seconds or 110.0, asked.seed)),
        lambda asked: max(20.0, asked.seconds or 110.0) + 90.0,
        doc="Where pyo's notes begin, and what its voices cost.",
    ),
}
"""Of plugins."""
