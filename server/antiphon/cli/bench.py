"""`antiphon bench NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

NAMES = (
    "engine", "events", "osc", "denoise", "render", "workers", "models", "synth", "supercollider", "swap", "plugins",
    "soak",
)  # fmt: skip


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(NAMES)}.")],
    seconds: Annotated[
        float,
        typer.Option(
            help="Length of each live run; 0 takes the published one. supercollider: of patterns from sclang after "
            "the rest, 0 for none, 600 as published."
        ),
    ] = 0.0,
    data: Annotated[str, typer.Option(help="denoise, plugins: the folder of songs, loops and noises.")] = "",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn by chance.")] = 1,
    limit: Annotated[
        int,
        typer.Option(
            help="denoise, plugins: so many items at most; swap: so many swaps; supercollider: kills, and 50 notes "
            "each; 0: all."
        ),
    ] = 0,
    hours: Annotated[
        float, typer.Option(help="soak: how long; under two the patches, kills and samples come as much faster.")
    ] = 2.0,
    out: Annotated[str, typer.Option(help="soak: a folder for its samples, events, result and plot.")] = "soak",
) -> None:
    """Measure, beside a peer or baseline where there is one: a table, and one JSON object as the last line."""
    from pathlib import Path

    from antiphon.errors import UsageError

    if name == "engine":
        from antiphon.bench.engine import main as engine

        engine(seconds or 60.0)
    elif name == "events":
        from antiphon.bench.events import main as events

        events(seed)
    elif name == "osc":
        from antiphon.bench.osc import main as osc

        osc(seconds or 30.0)
    elif name == "render":
        from antiphon.bench.render import main as render

        render()
    elif name == "workers":
        from antiphon.bench.workers import main as workers

        workers(seconds or 60.0, seed=seed)
    elif name == "models":
        from antiphon.bench.models import main as models

        models(seconds or 60.0, seed)
    elif name == "synth":
        from antiphon.bench.synth import main as synth

        synth(seconds or 110.0, seed=seed)
    elif name == "supercollider":
        from antiphon.bench.supercollider import main as supercollider

        supercollider(seconds, seed, limit)
    elif name == "swap":
        from antiphon.bench.swap import main as swap

        swap(limit or 1000, seed)
    elif name == "soak":
        from antiphon.bench.soak import main as soak

        soak(hours, Path(out), seed)
    elif name == "plugins":
        from antiphon.bench.plugins import main as every

        every(Path(data or "../shared/data"), seed, limit)
    elif name == "denoise":
        from antiphon.bench.denoise import main as denoise

        denoise(Path(data or "../shared/data"), seed, limit)
    else:
        raise UsageError(f"there is no bench {name!r}; there are: {', '.join(NAMES)}")
