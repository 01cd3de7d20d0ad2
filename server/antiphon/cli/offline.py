"""What a command that plays files has models and notes played by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.cli.errors import complain

if TYPE_CHECKING:
    from antiphon.graph import Graph
    from antiphon.plugins import Loaded


def play_with(device: str, synth: str, loaded: Loaded, graph: Graph | None = None) -> None:
    """Chooses for this process. Raises `WorkerError` or `UsageError` for what there is not."""
    from antiphon.synth import info as synths
    from antiphon.workers import devices, pool

    devices.resolve(device)
    pool.prefer(device)
    chosen = synths.choose(synth, loaded.factories["synths"])
    synths.use(synths.Choice(chosen))
    plays = graph is not None and any(node.type == "synth" for node in graph.nodes)
    if plays and synth == "auto" and chosen.name == synths.NULL.name:
        complain(synths.SILENT.removeprefix("antiphon: "))
