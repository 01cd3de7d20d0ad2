"""`antiphon bench sampler`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions


def sampler() -> Bench:
    """What 64 voices cost, where notes begin, and how many starts a second are played."""
    return Bench(_run, lambda asked: 4.0 * (asked.seconds or 10.0) + 10.0)


def _run(asked: BenchOptions) -> None:
    from antiphon_sampler.bench.voices import main

    main(asked.seconds or 10.0, seed=asked.seed)
