"""The definition of a bench, which factories of the hook `antiphon_benches` return."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The options of `antiphon bench`.

    Args:
        seconds: Length of each live run; 0 takes what is published.
        limit: Most items; 0 takes all.
        hours, out: Of `soak` alone.
    """

    seconds: float
    seed: int
    limit: int
    hours: float
    out: Path


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench.

    Args:
        seconds: Estimated duration on two idle cores; None if it depends on the number of items.
        needs: Modules that the bench requires and Antiphon itself does not.
    """

    run: Callable[[BenchOptions], None]
    seconds: Callable[[BenchOptions], float | None]
    needs: tuple[str, ...] = ()
    doc: str = ""
