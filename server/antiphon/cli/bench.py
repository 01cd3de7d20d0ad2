"""`antiphon bench NAME`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from antiphon.bench.entry import Bench, BenchOptions

if TYPE_CHECKING:
    from antiphon.plugins.registry import Registration

DATA = "data"


PLUGINS = "PLUGINS"
"""Placeholder for the names of plugins' benches in the help of the argument."""


class BenchCommand(TyperCommand):
    """The command `bench`, whose help lists the benches of plugins."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        others = _of_plugins()
        for param in self.params:
            param.help = (param.help or "").replace(PLUGINS, "".join(f", {n}" for n in others))  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
        with formatter.section("Benches of plugins"):
            formatter.write_dl([(name, entry.doc) for name, entry in others.items()])


def _engine(asked: BenchOptions) -> None:
    from antiphon.bench.engine import main

    main(asked.seconds or 60.0)


def _events(asked: BenchOptions) -> None:
    from antiphon.bench.events import main

    main(asked.seed)


def _osc(asked: BenchOptions) -> None:
    from antiphon.bench.osc import main

    main(asked.seconds or 30.0)


def _web(asked: BenchOptions) -> None:
    from antiphon.bench.web import main

    main(asked.seconds or 10.0)


def _classify(asked: BenchOptions) -> None:
    from antiphon.bench.classify import main

    main(asked.seconds or 10.0)


def _page(asked: BenchOptions) -> None:
    from antiphon.bench.page.run import main

    main(asked.seconds or 4.0, asked.seed)


def _render(_asked: BenchOptions) -> None:
    from antiphon.bench.render import main

    main()


def _workers(asked: BenchOptions) -> None:
    from antiphon.bench.workers.overhead import main

    main(asked.seconds or 60.0, seed=asked.seed)


def _models(asked: BenchOptions) -> None:
    from antiphon.bench.models import main

    main(asked.seconds or 60.0, asked.seed)


def _swap(asked: BenchOptions) -> None:
    from antiphon.bench.swap import main

    main(asked.limit or 1000, asked.seed)


def _live(asked: BenchOptions) -> None:
    from antiphon.bench.live import main

    main(asked.limit or 1000, asked.seed, asked.seconds or 60.0)


def _plugins(asked: BenchOptions) -> None:
    from antiphon.bench.plugins import main

    main(asked.data, asked.seed, asked.limit)


def _pipeline(asked: BenchOptions) -> None:
    from antiphon.bench.pipeline import main

    main(asked.seed, asked.limit)


def _soak(asked: BenchOptions) -> None:
    from antiphon.bench.soak.run import main

    main(asked.hours, asked.out, asked.seed)


# expected durations: from the lengths of the live runs, plus times measured on two cores
BENCHES = {
    "engine": Bench(_engine, lambda asked: 3 * (asked.seconds or 60.0) + 50.0),
    "events": Bench(_events, lambda _: 150.0),
    "osc": Bench(_osc, lambda asked: 3 * (asked.seconds or 30.0) + 10.0),
    "web": Bench(_web, lambda asked: 15 * ((asked.seconds or 10.0) + 3.0) + 15.0),
    "classify": Bench(_classify, lambda asked: 3 * (asked.seconds or 10.0) + 60.0),
    "page": Bench(_page, lambda asked: 9 * ((asked.seconds or 4.0) + 2.0) + 85.0),
    "render": Bench(_render, lambda _: 60.0),
    "workers": Bench(_workers, lambda asked: 2 * (asked.seconds or 60.0) + 300.0, needs=("torch",)),
    "models": Bench(_models, lambda asked: 2 * (asked.seconds or 60.0) + 120.0),
    "swap": Bench(_swap, lambda asked: 0.25 * (asked.limit or 1000) + 25.0),
    "live": Bench(_live, lambda asked: 0.75 * (asked.limit or 1000) + 2 * (asked.seconds or 60.0) + 30.0),
    "plugins": Bench(_plugins, lambda _: None),
    "pipeline": Bench(_pipeline, lambda _: 120.0, needs=("pyarrow", "librosa")),
    "soak": Bench(_soak, lambda asked: 3600.0 * asked.hours),
}
NAMES = tuple(BENCHES)


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help=f"One of: {', '.join(NAMES)}{PLUGINS}.",
            autocompletion=lambda incomplete: [n for n in (*NAMES, *_of_plugins()) if n.startswith(incomplete)],
        ),
    ],
    seconds: Annotated[
        float,
        typer.Option(help="Length of each live run; 0 for the published length."),
    ] = 0.0,
    data: Annotated[str, typer.Option(help="denoise, plugins: the folder of songs, loops and noises.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 1,
    limit: Annotated[
        int,
        typer.Option(help="denoise, plugins: most items; swap, live: number of swaps; 0: all."),
    ] = 0,
    hours: Annotated[
        float, typer.Option(help="soak: duration; below 2 patches, kills and samples are scaled to it.")
    ] = 2.0,
    out: Annotated[str, typer.Option(help="soak: a folder for its samples, events, result and plot.")] = "soak",
) -> None:
    """Measure, beside a peer or baseline where there is one: a table, and one JSON object as the last line."""
    from antiphon.cli.terminal.errors import endable
    from antiphon.errors import PluginError, UsageError
    from antiphon.runtime import extras
    from antiphon.runtime.suggestion import instead

    chosen = BENCHES.get(name)
    if chosen is None:
        others = _of_plugins()
        if name not in others:
            raise UsageError(f"there is no bench {name!r}{instead(name, (*NAMES, *others))}")
        chosen = others[name].factory()
        if not isinstance(chosen, Bench):
            raise PluginError(f"the factory of the bench {name!r} gave {type(chosen).__name__}, not a Bench")
    extras.require(f"bench {name}", chosen.needs)
    asked = BenchOptions(seconds, Path(data or os.environ.get("ANTIPHON_DATA", DATA)), seed, limit, hours, Path(out))
    typer.echo(announced(name, chosen.seconds(asked)), err=True)
    # as an exception the signal runs the bench's clean-up, which ends its servers
    with endable():
        chosen.run(asked)


def _of_plugins() -> dict[str, Registration]:
    """Benches that plugins register. Loading them takes time: only for the help page and for unknown names."""
    from antiphon.plugins.registry import registrations

    return {
        name: registration for name, registration in sorted(registrations("benches").items()) if name not in BENCHES
    }


def announced(name: str, seconds: float | None) -> str:
    """The expected duration, as a sentence. seconds: None if it depends on the number of items."""
    if seconds is None:
        return f"bench {name} processes every item, which may take hours; --limit N processes at most N"
    if seconds < 90.0:
        return f"bench {name} takes about {10 * round(seconds / 10)} s on two idle cores"
    return f"bench {name} takes about {round(seconds / 60)} minutes on two idle cores"
