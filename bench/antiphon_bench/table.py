"""The benches by name, with function, duration and requirements."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from antiphon_bench.entry import Bench, BenchOptions


def _bench(
    module: str,
    arguments: Callable[[BenchOptions], tuple[Any, ...]],
    seconds: Callable[[BenchOptions], float],
    needs: tuple[str, ...] = (),
) -> Bench:
    """A bench by `main` of a module of this folder, imported when it runs."""

    def run(asked: BenchOptions) -> None:
        import_module(f"antiphon_bench.{module}").main(*arguments(asked))

    return Bench(run, seconds, needs)


# expected durations: from the lengths of the live runs, plus times measured on two cores
OWN = {
    "engine": _bench("engine", lambda o: (o.seconds or 60.0,), lambda o: 30.0 + 3 * (o.seconds or 60.0)),
    "events": _bench("events", lambda o: (o.seed,), lambda o: 150.0),
    "osc": _bench("osc", lambda o: (o.seconds or 30.0,), lambda o: 10.0 + 3 * (o.seconds or 30.0)),
    "plan": _bench(
        "plan", lambda o: (o.seconds or 10.0, o.seed), lambda o: 20.0 + 6 * (o.seconds or 10.0), ("pedalboard",)
    ),
    "swap": _bench("swap", lambda o: (o.limit or 1000, o.seed), lambda o: 25.0 + 0.25 * (o.limit or 1000)),
    "live": _bench(
        "live",
        lambda o: (o.limit or 1000, o.seed, o.seconds or 60.0),
        lambda o: 30.0 + 0.75 * (o.limit or 1000) + 2 * (o.seconds or 60.0),
    ),
    "coperformer": _bench("coperformer", lambda o: (o.limit or 1000, o.seed), lambda o: 30.0 + 3.0 * (o.limit or 1000)),
    "soak": _bench("soak.run", lambda o: (o.hours, o.out, o.seed), lambda o: 3600 * o.hours),
    "band": _bench("band", lambda o: (o.seed, o.limit), lambda o: 600.0 * max(1, o.limit)),
    "lights": _bench(
        "lights", lambda o: (o.seconds or 300.0, o.limit or 40), lambda o: 60.0 + 3 * (o.seconds or 300.0)
    ),
    "follow": _bench("follow", lambda o: (o.limit or 8, o.seed), lambda o: 10.0 + 6.0 * (o.limit or 8)),
    "effects": _bench("effects", lambda o: (o.seed, o.limit), lambda o: 60.0, ("pedalboard",)),
}
