"""`antiphon bench NAME`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

DATA = "../shared/data"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say. seconds, limit: 0 takes what is published. hours, out: of `soak` alone."""

    seconds: float
    data: Path
    seed: int
    limit: int
    hours: float
    out: Path


@dataclass(frozen=True, slots=True)
class Bench:
    """seconds: how long it takes, reckoned on two idle cores; None where it hangs on how many items there are."""

    run: Callable[[Asked], None]
    seconds: Callable[[Asked], float | None]


def _engine(asked: Asked) -> None:
    from antiphon.bench.engine import main

    main(asked.seconds or 60.0)


def _events(asked: Asked) -> None:
    from antiphon.bench.events import main

    main(asked.seed)


def _osc(asked: Asked) -> None:
    from antiphon.bench.osc import main

    main(asked.seconds or 30.0)


def _web(asked: Asked) -> None:
    from antiphon.bench.web import main

    main(asked.seconds or 10.0)


def _render(_asked: Asked) -> None:
    from antiphon.bench.render import main

    main()


def _workers(asked: Asked) -> None:
    from antiphon.bench.workers import main

    main(asked.seconds or 60.0, seed=asked.seed)


def _models(asked: Asked) -> None:
    from antiphon.bench.models import main

    main(asked.seconds or 60.0, asked.seed)


def _synth(asked: Asked) -> None:
    from antiphon.bench.synth import main

    main(asked.seconds or 110.0, seed=asked.seed)


def _supercollider(asked: Asked) -> None:
    from antiphon.bench.supercollider import main

    main(asked.seconds, asked.seed, asked.limit)


def _swap(asked: Asked) -> None:
    from antiphon.bench.swap import main

    main(asked.limit or 1000, asked.seed)


def _plugins(asked: Asked) -> None:
    from antiphon.bench.plugins import main

    main(asked.data, asked.seed, asked.limit)


def _denoise(asked: Asked) -> None:
    from antiphon.bench.denoise import main

    main(asked.data, asked.seed, asked.limit)


def _soak(asked: Asked) -> None:
    from antiphon.bench.soak import main

    main(asked.hours, asked.out, asked.seed)


# the live runs by their lengths, the rest as it was measured on two cores
BENCHES = {
    "engine": Bench(_engine, lambda asked: 3 * (asked.seconds or 60.0) + 50.0),
    "events": Bench(_events, lambda _: 150.0),
    "osc": Bench(_osc, lambda asked: 3 * (asked.seconds or 30.0) + 10.0),
    "web": Bench(_web, lambda asked: 15 * ((asked.seconds or 10.0) + 3.0) + 15.0),
    "denoise": Bench(_denoise, lambda _: None),
    "render": Bench(_render, lambda _: 60.0),
    "workers": Bench(_workers, lambda asked: 2 * (asked.seconds or 60.0) + 300.0),
    "models": Bench(_models, lambda asked: 2 * (asked.seconds or 60.0) + 120.0),
    "synth": Bench(_synth, lambda asked: max(20.0, asked.seconds or 110.0) + 90.0),
    "supercollider": Bench(_supercollider, lambda asked: None if asked.limit else 900.0 + asked.seconds),
    "swap": Bench(_swap, lambda asked: 0.25 * (asked.limit or 1000) + 25.0),
    "plugins": Bench(_plugins, lambda _: None),
    "soak": Bench(_soak, lambda asked: 3600.0 * asked.hours),
}
NAMES = tuple(BENCHES)


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help=f"One of: {', '.join(NAMES)}.",
            autocompletion=lambda incomplete: [name for name in NAMES if name.startswith(incomplete)],
        ),
    ],
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
    from antiphon.cli.errors import endable
    from antiphon.errors import UsageError
    from antiphon.runtime.suggestion import instead

    if name not in BENCHES:
        raise UsageError(f"there is no bench {name!r}{instead(name, NAMES)}")
    asked = Asked(seconds, Path(data or DATA), seed, limit, hours, Path(out))
    typer.echo(announced(name, asked), err=True)
    # the servers that it starts are ended by its own clearing up, which a signal would skip
    with endable():
        BENCHES[name].run(asked)


def announced(name: str, asked: Asked) -> str:
    """How long it will take, in a sentence."""
    seconds = BENCHES[name].seconds(asked)
    if seconds is None:
        return f"bench {name} goes through every item there is, which may take hours; --limit takes fewer"
    if seconds < 90.0:
        return f"bench {name} takes about {10 * round(seconds / 10)} s on two idle cores"
    return f"bench {name} takes about {round(seconds / 60)} minutes on two idle cores"
