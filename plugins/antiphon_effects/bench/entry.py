"""`antiphon bench effects`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions


def effects() -> Bench:
    """About a minute."""
    return Bench(_run, lambda _: 60.0, needs=("pedalboard", "librosa"))


def _run(asked: BenchOptions) -> None:
    from antiphon_effects.bench.comparison import main

    main(asked.seed, asked.limit)
