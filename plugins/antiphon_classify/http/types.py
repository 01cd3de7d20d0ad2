"""What the operations of classifiers take and answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from antiphon.api.backends.http import Asked, list_of, record


class NamedFileBody(Asked):
    """A file that was sent."""

    file: Annotated[str, Meta(description="The identifier of a file or a job.")]


class StreamQuery(Asked):
    """How a stream is classified."""

    every: Annotated[float, Meta(ge=1, le=60, description="Seconds of sound for each line, 1 to 60.")] = 5.0


Quantity = record("Quantity", name=str, kind=str, unit=str, doc=str)
Classifier = record("Classifier", name=str, labels=list[str], shortest=float, quantities=list_of(Quantity), problem=str)
Classified = record("Classified", duration=float, labels=list[tuple[str, float]] | None)
