"""A pipeline of Beam, which computes shards, by whatever runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.shortening import shorten


def compute_by(kind: Any, options: Sequence[str], tasks: Sequence[Any], work: Callable[[Any], Any]) -> None:
    """Computes shards by a runner of Beam. kind: it, or its name; options: Beam's own."""
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with apache_beam.Pipeline(kind, PipelineOptions(list(options))) as begin:
        _ = begin | apache_beam.Create(list(tasks)) | apache_beam.Reshuffle() | apache_beam.Map(work)


@contextmanager
def failure_of(runner: str, log: Path) -> Iterator[None]:
    """Turns what Beam raises into a sentence: it wraps its workers' exceptions, of whatever kind, in its own."""
    try:
        yield
    except Exception as error:
        reason = shorten(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__, 200)
        raise FileError(f"Beam's runner {runner} has failed: {reason}; {log} has the rest") from error
