"""Runs the analysis steps: the catalogue's analyses on a data set, and a classifier's predictions for new sounds.

Both write shards like those of spectrograms: they depend only on the names of their sounds and the versions of the
analyses, and are written atomically. A column is a quantity, with the type that its analysis declares.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.api import FileError, PluginError
from antiphon.api.backends.analysis import AnalysisResult, Quantity, analyses
from antiphon_library.scanning import identify_and_analyse
from antiphon_library.shard_import import LABEL, SPAN, VERSION
from antiphon_models.datasets.examination import SOUND
from antiphon_models.datasets.layouts.rules import files_below, relative
from antiphon_models.pipeline.shards import ShardWork, SourceItem, first_fields, items_by_shard, sounds_of, write_shard

PREDICTIONS = "predictions"
"""Folder name of predictions."""


@dataclass(frozen=True, slots=True)
class AnalysisTask(ShardWork):
    """A shard of results, in the folder `ANALYSES` or `PREDICTIONS`. `versions`: (name, version) of each analysis."""

    versions: tuple[tuple[str, int], ...]

    @property
    def lines(self) -> Path:
        """Path of the predictions as JSON lines."""
        return self.path.with_suffix(".jsonl")

    def dependencies(self) -> dict[str, Any]:
        """As `ShardWork.dependencies`."""
        return {"version": VERSION, "analyses": self.versions}


def analysis_tasks(
    out: Path, folder: str, source: Path, items: Sequence[SourceItem], names: Sequence[str], shards: int
) -> list[AnalysisTask]:
    """Returns a task for each nonempty shard of the items.

    `names`: of the analyses; empty for all that are not run by name only. Raises `PluginError`: an analysis is unknown,
    or no plugin registers one.
    """
    from antiphon.api.backends.analysis import named_analyses

    present = analyses()
    versions = tuple((name, present[name].version) for name in sorted(named_analyses(names)))
    if not versions:
        raise PluginError("no plugin registers an analysis; `antiphon plugins` lists those that there are, and why not")
    places = str(out), folder, str(source)
    return [AnalysisTask(number, *places, part, versions) for number, part in items_by_shard(items, shards)]


def new_sounds(folder: Path) -> list[SourceItem]:
    """The sounds below a folder, each named by its path. Raises `FileError`: there is none."""
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder}: predict.path names the one with the new sounds")
    names = [relative(path, folder) for path in files_below(folder, *sorted(SOUND))]
    if not names:
        raise FileError(f"{folder} holds no sound: predict.path names the folder with the new sounds")
    return [SourceItem(name, name, "", "", ()) for name in names]


def compute_analyses(task: AnalysisTask) -> None:
    """Computes and writes a shard. Raises `FileError`: it cannot be written, or an analysis has another version."""
    import pyarrow

    present = analyses()
    for name, version in task.versions:
        if name not in present or present[name].version != version:
            raise FileError(
                f"the analysis {name} is not there in version {version}: install the same plugins everywhere"
            )
    rows: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    dead: list[dict[str, str]] = []
    names = [name for name, _ in task.versions]
    for row, (sound, tags, results) in sounds_of(
        task, lambda path: identify_and_analyse(os.fsencode(path), names), dead
    ):
        said.append(prediction_as_json(row["name"], row["digest"], sound.duration, results))
        rows.append({
            **row, "sound": sound.digest, "seconds": sound.duration, "rate": sound.rate, "channels": sound.channels,
            "tags": sorted(tags.items()), **_cells(results),
        })  # fmt: skip
    text, whole = pyarrow.string(), pyarrow.int32()
    fields = [
        *first_fields(), ("sound", text), ("seconds", pyarrow.float64()), ("rate", whole), ("channels", whole),
        ("tags", pyarrow.map_(text, text)),
        *((f"{name}.{quantity.name}", _type(quantity)) for name in names for quantity in present[name].quantities),
        *((f"{name}.problem", text) for name in names),
    ]  # fmt: skip
    beside: dict[Path, Sequence[Mapping[str, Any]]] = {task.dead: dead}
    if task.folder == PREDICTIONS:
        beside[task.lines] = said
    write_shard(task, fields, rows, {"version": VERSION, "analyses": dict(task.versions)}, beside)


def _cells(results: Mapping[str, AnalysisResult]) -> dict[str, Any]:
    """Converts results to columns: "NAME.QUANTITY", and "NAME.problem"."""
    cells: dict[str, Any] = {}
    for name, (_, values, problem) in results.items():
        cells[f"{name}.problem"] = problem
        for quantity, value in (values or {}).items():
            cells[f"{name}.{quantity}"] = value
    for key, value in cells.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            fields = LABEL if len(value[0]) == len(LABEL) else SPAN
            cells[key] = [dict(zip(fields, row, strict=True)) for row in value]
    return cells


def _type(quantity: Quantity) -> Any:
    import pyarrow

    number = pyarrow.float64()
    match quantity.kind:
        case "number":
            return number
        case "text":
            return pyarrow.string()
        case "spans":
            return pyarrow.list_(pyarrow.struct([("start", number), ("end", number), ("label", pyarrow.string())]))
        case "labels":
            return pyarrow.list_(pyarrow.struct([("label", pyarrow.string()), ("probability", number)]))
        case "landmarks":
            return pyarrow.binary()
    return pyarrow.list_(number)


def prediction_as_json(name: str, digest: str, seconds: float, results: Mapping[str, AnalysisResult]) -> dict[str, Any]:
    """Prediction for a sound as JSON data: quantities by analysis, without landmarks, and "problem", "" for none."""
    said = {
        analysis: {k: v for k, v in (values or {}).items() if not isinstance(v, bytes)} | {"problem": problem}
        for analysis, (_, values, problem) in sorted(results.items())
    }
    return {"name": name, "digest": digest, "seconds": round(seconds, 6), **said}
