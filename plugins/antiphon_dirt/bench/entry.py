"""`antiphon bench dirt`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions

SECONDS = 600.0
"""Of a run without `--seconds`."""


def dirt() -> Bench:
    """Real Tidal plays a server: what was late, refused or lost, and how far onsets are from their time tags."""
    return Bench(_run, lambda asked: (asked.seconds or SECONDS) + 10.0)


def _run(asked: BenchOptions) -> None:
    from antiphon_dirt.bench.minutes import main

    main(asked.seconds or SECONDS)
