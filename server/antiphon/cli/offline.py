"""What a command that plays files has models and notes played by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.plugins import Loaded


def play_with(device: str, synth: str, loaded: Loaded) -> None:
    """Chooses for this process. Raises `WorkerError` or `UsageError` for what there is not."""
    from antiphon.synth import info as synths
    from antiphon.workers import devices, pool

    devices.resolve(device)
    pool.prefer(device)
    synths.use(synths.Choice(synths.choose(synth, loaded.factories["synths"])))
