"""Options shared by the commands that process files: device, synth, tail and fade."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from antiphon.cli.terminal.errors import complain
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.sound_formats import MAX_RATE, MIN_RATE

MOST_TAIL = 600.0
"""Largest value of `--tail`, in seconds."""
MOST_FADE = 10.0
"""Largest value of `--fade`, in seconds."""

if TYPE_CHECKING:
    from antiphon.kernel.graph.graph import Graph
    from antiphon.kernel.plugins.loader import Loaded


def play_with(device: str, synth: str, loaded: Loaded, graph: Graph | None = None) -> None:
    """Sets device and synth of this process. Raises `WorkerError` or `UsageError` if one is not available."""
    from antiphon.kernel.synth import choosing, info as synths
    from antiphon.kernel.workers import devices, pool

    devices.resolve(device)
    pool.prefer(device)
    chosen = choosing.choose(synth, loaded.factories["synths"])
    choosing.use(synths.BackendChoice(chosen))
    plays = graph is not None and any(node.type == "synth" for node in graph.nodes)
    if plays and synth == "auto" and chosen.name == synths.NULL.name:
        complain(choosing.silence(loaded.factories["synths"]))


def hertz(rate: int) -> int:
    """The value of `--rate`, 0 where it was not given. Raises `UsageError` for one that no sound file has."""
    if rate and not MIN_RATE <= rate <= MAX_RATE:
        raise UsageError(f"--rate takes {MIN_RATE} to {MAX_RATE} Hz, not {rate}")
    return rate


S = TypeVar("S", float, float | None)


def within(option: str, seconds: S, most: float) -> S:
    """The option's value in seconds, or None if it is None. Raises `UsageError` outside 0 to `most`."""
    if seconds is not None and not 0.0 <= seconds <= most:
        raise UsageError(f"{option} takes 0 to {most:g} seconds, not {seconds:g}")
    return seconds
