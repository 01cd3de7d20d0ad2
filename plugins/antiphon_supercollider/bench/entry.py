"""`antiphon bench supercollider`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions


def supercollider() -> Bench:
    """About 15 minutes, and as long as patterns from sclang are to play after it."""
    return Bench(_run, lambda asked: None if asked.limit else 900.0 + asked.seconds)


def _run(asked: BenchOptions) -> None:
    from antiphon_supercollider.bench.comparison import main

    main(asked.seconds, asked.seed, asked.limit)
