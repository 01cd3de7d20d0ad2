"""Recorded music with genres, of a copy of GTZAN or FMA: the tests of their published splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from antiphon.api import AntiphonError, FileError
from antiphon_models.datasets.layouts import layout_of
from antiphon_models.datasets.records import TEST, Item
from antiphon_models.learning.evaluation import EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import analysis_of_file
from antiphon_models.material.tables import table_beside

ACCEPTED: dict[str, dict[str, tuple[str, ...]]] = table_beside(__file__)
"""By data set and its genre what is right; its other genres are strangers, for which "unknown" is right."""


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A data set on this machine.

    Attributes:
        layout: "gtzan" or "fma".
        root: Its folder.
        items: Items of its test, without known faults.
    """

    layout: str
    root: Path
    items: tuple[Item, ...]


def dataset_in(root: Path) -> FieldSet | None:
    """GTZAN or FMA, where `root` is one of them: the test of the split, without faulty clips."""
    for name in ACCEPTED:
        try:
            listing = layout_of(name).listing(root)
        except FileError:
            continue
        items = tuple(item for item in listing.items if item.split == TEST and item.labels and not item.fault)
        return FieldSet(name, root, items)
    return None


def scores(found: FieldSet, ask: EvaluationRequest) -> Iterator[MetricValue]:
    """Figures of the analysis `genre`, clip by clip; a file that cannot be read is named and left out."""
    every = max(1, len(found.items) // ask.limit) if ask.limit else 1
    ask.say(f"{found.layout}: {len(found.items[::every])} clips of its test, without its known faults")
    for item in found.items[::every]:
        path = found.root / item.files[0]
        try:
            values, reason = analysis_of_file(path, "genre"), "it is silent"
        except AntiphonError as error:
            values, reason = {"genre": None}, str(error)
        if values["genre"] is None:
            ask.say(f"{item.name} is left out: {reason}")
            continue
        right = ACCEPTED[found.layout].get(item.labels[0], ())
        if not right:
            yield MetricValue("genre", "strangers unknown", item.name, float(values["genre"] == "unknown"))
            continue
        top = [label for label, _ in values["genres"]]
        yield MetricValue("genre", "accuracy", item.name, float(values["genre"] in right))
        yield MetricValue("genre", "top 3", item.name, float(any(label in right for label in top)))
