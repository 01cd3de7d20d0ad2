"""`antiphon bench NAME`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from antiphon.api.backends.runtime import argument
from antiphon.cli.command import Command as CliCommand
from antiphon_bench.entry import Bench, BenchOptions

if TYPE_CHECKING:
    from antiphon.kernel.plugins.hook_lists import Registration


# ---- The benches by name, with function, duration and requirements


def _bench(
    module: str,
    arguments: Callable[[BenchOptions], tuple[Any, ...]],
    seconds: Callable[[BenchOptions], float],
    needs: tuple[str, ...] = (),
) -> Bench:
    """Returns a bench that calls `main` of a module of this folder; the module is imported when the bench runs."""

    def run(asked: BenchOptions) -> None:
        import_module(f"antiphon_bench.{module}").main(*arguments(asked))

    return Bench(run, seconds, needs)


# expected durations: from the lengths of the live runs, plus times measured on two cores
OWN = {
    "engine": _bench("engine", lambda o: (o.seconds or 60.0,), lambda o: 30.0 + 3 * (o.seconds or 60.0)),
    "events": _bench("events", lambda o: (o.seed,), lambda o: 150.0),
    "osc": _bench("osc", lambda o: (o.seconds or 30.0,), lambda o: 10.0 + 3 * (o.seconds or 30.0)),
    "plan": _bench(
        "plan", lambda o: (o.seconds or 10.0, o.seed), lambda o: 120.0 + 18 * (o.seconds or 10.0), ("pedalboard",)
    ),
    "swap": _bench("swap", lambda o: (o.limit or 1000, o.seed), lambda o: 25.0 + 0.25 * (o.limit or 1000)),
    "live": _bench(
        "live",
        lambda o: (o.limit or 1000, o.seed, o.seconds or 60.0),
        lambda o: 30.0 + 0.75 * (o.limit or 1000) + 2 * (o.seconds or 60.0),
    ),
    "soak": _bench("soak.run", lambda o: (o.hours, o.out, o.seed), lambda o: 3600 * o.hours),
    "follow": _bench(
        "follow",
        lambda o: (o.limit or 8, o.seed, o.seconds or 600.0),
        lambda o: 60.0 + 6.0 * (o.limit or 8) + 4.1 * (o.seconds or 600.0),
    ),
    "effects": _bench("effects", lambda o: (o.seed, o.limit), lambda o: 60.0, ("pedalboard",)),
}


PLUGINS = "PLUGINS"
"""Placeholder in the argument's help for the names of plugins' benches."""


class BenchCommand(CliCommand):
    """The command `bench`, whose help lists the benches of plugins."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        others = _plugin_benches()
        for param in self.params:
            param.help = (param.help or "").replace(PLUGINS, "".join(f", {n}" for n in others))
        super().format_help(ctx, formatter)
        if others:
            with formatter.section("Benches of plugins"):
                formatter.write_dl([(name, entry.doc) for name, entry in others.items()])


NAMES = tuple(OWN)


def bench(
    name: Annotated[str, argument(f"One of: {', '.join(NAMES)}{PLUGINS}.", names=lambda: (*NAMES, *_plugin_benches()))],
    seconds: Annotated[float, argument("Length of each live run; 0 for the published length.")] = 0.0,
    seed: Annotated[int, argument("Seed of all random numbers.")] = 1,
    limit: Annotated[int, argument("swap, live: number of swaps; effects: blocks of each; 0: all.")] = 0,
    hours: Annotated[float, argument("soak: duration; below 2 patches, kills and samples are scaled to it.")] = 2.0,
    out: Annotated[str, argument("soak: a folder for its samples, events, result and plot.")] = "soak",
) -> None:
    """Measure, beside a peer or baseline where there is one: a table, and one JSON object as the last line."""
    from antiphon.api import PluginError, UsageError
    from antiphon.api.backends.runtime import instead, require_modules
    from antiphon.cli.errors import termination_signals

    chosen = OWN.get(name)
    if chosen is None:
        others = _plugin_benches()
        if name not in others:
            raise UsageError(f"there is no bench {name!r}{instead(name, (*NAMES, *others))}")
        made = others[name].factory()
        if not isinstance(made, Bench):
            raise PluginError(f"the factory of the bench {name!r} gave {type(made).__name__}, not a Bench")
        chosen = made
    require_modules(f"bench {name}", chosen.needs)
    asked = BenchOptions(seconds, seed, limit, hours, Path(out))
    click.echo(announcement(name, chosen.seconds(asked)), err=True)
    # as an exception the signal runs the bench's clean-up, which ends its servers
    with termination_signals():
        chosen.run(asked)


def _plugin_benches() -> dict[str, Registration]:
    """Returns the benches of plugins. Loading them takes time, so only the help page and unknown names do it."""
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
