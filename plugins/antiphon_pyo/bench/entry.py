"""`antiphon bench synth`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions


def synth() -> Bench:
    """The live run, of 110 s as published, and what a hop costs."""
    return Bench(_run, lambda asked: max(20.0, asked.seconds or 110.0) + 90.0)


def _run(asked: BenchOptions) -> None:
    from antiphon_pyo.bench.notes import main

    main(asked.seconds or 110.0, seed=asked.seed)
