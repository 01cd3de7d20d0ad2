"""`antiphon bench clock`, as the hook `antiphon_benches` registers it."""

from __future__ import annotations

from antiphon.bench.entry import Bench, BenchOptions


def clock() -> Bench:
    """A MIDI clock followed and led through a JACK server, three runs of following and one of leading."""
    return Bench(_run, lambda asked: 4.0 * ((asked.seconds or 30.0) + 15.0))


def _run(asked: BenchOptions) -> None:
    from antiphon_midi.bench.clock import main

    main(asked.seconds or 30.0, seed=asked.seed)
