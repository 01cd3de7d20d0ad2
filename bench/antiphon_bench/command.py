"""`antiphon bench NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from antiphon_bench.entry import Bench, BenchOptions
from antiphon_bench.table import OWN

if TYPE_CHECKING:
    from antiphon.api.backends.rendering import Registration

PLUGINS = "PLUGINS"
"""Placeholder in the argument's help for the names of plugins' benches."""


class BenchCommand(TyperCommand):
    """The command `bench`, whose help lists the benches of plugins."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        others = _of_plugins()
        for param in self.params:
            param.help = (param.help or "").replace(PLUGINS, "".join(f", {n}" for n in others))  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
        if others:
            with formatter.section("Benches of plugins"):
                formatter.write_dl([(name, entry.doc) for name, entry in others.items()])


NAMES = tuple(OWN)


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
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 1,
    limit: Annotated[
        int,
        typer.Option(help="swap, live: number of swaps; effects: blocks of each; 0: all."),
    ] = 0,
    hours: Annotated[
        float, typer.Option(help="soak: duration; below 2 patches, kills and samples are scaled to it.")
    ] = 2.0,
    out: Annotated[str, typer.Option(help="soak: a folder for its samples, events, result and plot.")] = "soak",
) -> None:
    """Measure, beside a peer or baseline where there is one: a table, and one JSON object as the last line."""
    from antiphon.api import PluginError, UsageError
    from antiphon.api.backends.cli import endable
    from antiphon.api.backends.runtime import instead, require_modules

    chosen = OWN.get(name)
    if chosen is None:
        others = _of_plugins()
        if name not in others:
            raise UsageError(f"there is no bench {name!r}{instead(name, (*NAMES, *others))}")
        made = others[name].factory()
        if not isinstance(made, Bench):
            raise PluginError(f"the factory of the bench {name!r} gave {type(made).__name__}, not a Bench")
        chosen = made
    require_modules(f"bench {name}", chosen.needs)
    asked = BenchOptions(seconds, seed, limit, hours, Path(out))
    typer.echo(announcement(name, chosen.seconds(asked)), err=True)
    # as an exception the signal runs the bench's clean-up, which ends its servers
    with endable():
        chosen.run(asked)


def _of_plugins() -> dict[str, Registration]:
    """Benches of plugins, loaded late since that takes time: for the help page and for unknown names."""
    from antiphon.api.backends.rendering import registrations

    found = registrations("benches")
    return {name: found[name] for name in sorted(found) if name not in OWN}


def announcement(name: str, seconds: float | None) -> str:
    """The expected duration, as a sentence. seconds: None if it depends on the number of items."""
    if seconds is None:
        return f"bench {name} processes every item, which may take hours; --limit N processes at most N"
    if seconds < 90.0:
        return f"bench {name} takes about {10 * round(seconds / 10)} s on two idle cores"
    return f"bench {name} takes about {round(seconds / 60)} minutes on two idle cores"
