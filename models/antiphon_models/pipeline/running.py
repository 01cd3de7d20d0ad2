"""Runs the steps of a pipeline, each of which determines its remaining work."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from antiphon import __version__
from antiphon.api import FileError, UsageError
from antiphon.api.backends.files import TEMPORARY_NAME, hold_lock, reason_of_os_error, write_atomic
from antiphon_library.shard_import import ANALYSES
from antiphon_models.pipeline import runners
from antiphon_models.pipeline.analysing import PREDICTIONS, AnalysisTask, analysis_tasks, compute_analyses, new_sounds
from antiphon_models.pipeline.gathering import SourceItem, gather, read_items
from antiphon_models.pipeline.separating import compute_stems, stems_tasks
from antiphon_models.pipeline.settings import PipelineSettings
from antiphon_models.pipeline.shards import FOLDER, ShardTask, ShardWork, compute, is_done, shared_out
from antiphon_models.pipeline.training.excerpts import class_counts
from antiphon_models.pipeline.training.steps import TRAINING_STEPS, Progress, TrainingReport, check_steps, run_steps

LOCK = ".lock"
_SHARD = re.compile(r"\d{5}\.(parquet|jsonl)")


@contextlib.contextmanager
def claim_folder(out: Path) -> Iterator[None]:
    """Context with an exclusive lock on a folder, created if missing. Raises `FileError`: it cannot be had."""
    with hold_lock(out / LOCK, f"another run writes to {out}: let it end, or give this one an `out` of its own"):
        _remove(path for path in _folder_contents(out) if TEMPORARY_NAME.fullmatch(path.name))
        yield


def remove_others(tasks: Sequence[ShardWork]) -> None:
    """Removes shards of a different shard count, whose items would be duplicates, and their lists of bad sounds.

    Raises `FileError`: one cannot be removed.
    """
    wanted = {task.path.stem for task in tasks}
    folders = {path.parent for task in tasks for path in (task.path, task.dead) if path.parent.is_dir()}
    _remove(
        path
        for folder in sorted(folders)
        for path in sorted(folder.iterdir())
        if _SHARD.fullmatch(path.name) and path.stem not in wanted
    )


def _folder_contents(out: Path) -> Iterator[Path]:
    """Contents of the folder two levels deep: training/FRAMEWORK is the deepest one written."""
    for pattern in (".*", "*/.*", "*/*/.*"):
        yield from out.glob(pattern)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"cannot remove {path}: {reason_of_os_error(error)}") from None


MANIFEST = "manifest.json"
LOG = "beam.log"
"""File name of Beam's and its workers' output."""


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """Report of a run.

    `computed`: those of them that this run has computed. `dead`: sounds that could not be used, by name, and why.
    `classes`: by label how many of its sounds each split of the training has.
    `analysed`: of the steps stems, analyse and predict: "sounds", "dead", "shards" and "computed", how many of each.
    `training`: what the steps train, evaluate and deploy have done.
    """

    out: str
    items: int
    shards: int
    computed: int
    dead: dict[str, str]
    splits: dict[str, int]
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    analysed: dict[str, dict[str, int]] = field(default_factory=dict)
    training: TrainingReport | None = None


def run(
    settings: PipelineSettings,
    steps: Sequence[str],
    runner: str = "direct",
    workers: int = 2,
    options: Sequence[str] = (),
    progress: Progress = lambda *_: None,
    begins: Callable[[int, Path], None] = lambda *_: None,
) -> PipelineReport:
    """Runs steps of `settings.STEPS` in order, and reports the result.

    `progress` is called after each epoch of a training, `begins` before shards are computed, with how many and their
    folder. `options` are Beam's own.

    Raises `FileError`: files cannot be read or written. `UsageError`: a step or runner is not to be had.
    """
    if {"preprocess", "stems", "analyse", "predict"} & set(steps):
        runners.check_runner(runner)
    check_steps(settings, steps)
    with claim_folder(settings.out):
        return _run(settings, steps, _Beam(settings.out / LOG, runner, workers, options, begins), progress)


def _run(settings: PipelineSettings, steps: Sequence[str], beam: _Beam, progress: Progress) -> PipelineReport:
    if tuple(steps) == ("predict",):  # of other sounds, which need no data set
        return _predicted(settings, beam, PipelineReport(str(settings.out), 0, 0, 0, {}, {}))
    items = gather(settings) if "gather" in steps else read_items(settings)
    tasks = shard_tasks(settings, items)
    computed = 0
    if "preprocess" in steps:
        remove_others(tasks)
        computed = beam.compute(tasks, compute)
    there = [task for task in tasks if task.path.is_file()]
    dead = _dead(there)
    whole = [item for item in items if item.name not in dead]
    splits = dict(sorted(Counter(item.split for item in whole).items()))
    classes = class_counts(whole, settings.train)
    report = PipelineReport(str(settings.out), len(items), len(there), computed, dead, splits, classes)
    if "preprocess" in steps:
        about = {
            "name": settings.name,
            "dataset": settings.gather.dataset,
            "settings": structs.asdict(settings.preprocess),
            "items": len(items),
            "shards": [f"{FOLDER}/{task.path.name}" for task in there],
            "splits": splits,
            "classes": classes,
            "dead": dead,
        }
        _write_manifest(settings.out, about)
    if "stems" in steps:
        stems = stems_tasks(settings, items)
        described = {"name": settings.name, **stems[0].settled()}
        report = _added(beam, report, "stems", stems, compute_stems, described)
    if "analyse" in steps:
        chosen = settings.analyse
        wanted = analysis_tasks(settings.out, ANALYSES, settings.gather.path, items, chosen.analyses, chosen.shards)
        report = _added(beam, report, "analyse", wanted, compute_analyses, _about_analyses(settings, wanted[0]))
    if set(steps) & set(TRAINING_STEPS):
        report = replace(report, training=run_steps(settings, steps, whole, tasks, progress))
    return _predicted(settings, beam, report) if "predict" in steps else report


@dataclass(frozen=True, slots=True)
class _Beam:
    """Runner settings: arguments of `runners.run`."""

    log: Path
    runner: str
    workers: int
    options: Sequence[str]
    begins: Callable[[int, Path], None]

    def compute(self, tasks: Sequence[ShardWork], work: Callable[[Any], Any]) -> int:
        """Computes unfinished tasks; returns their number. Raises `FileError`: it failed."""
        undone = [task for task in tasks if not is_done(task)]
        if undone:
            self.begins(len(undone), undone[0].path.parent)
            runners.run(undone, self.log, work=work, runner=self.runner, workers=self.workers, options=self.options)
            if left := [task.path for task in undone if not is_done(task)]:
                raise FileError(f"the shard {left[0]} was not written; {self.log} has what Beam says")
        return len(undone)


def _predicted(settings: PipelineSettings, beam: _Beam, report: PipelineReport) -> PipelineReport:
    chosen = settings.predict
    if chosen is None:
        raise UsageError('the step predict needs a table [predict] with path = "FOLDER", where the new sounds are')
    items = new_sounds(chosen.path)
    wanted = analysis_tasks(settings.out, PREDICTIONS, chosen.path, items, chosen.analyses, chosen.shards)
    return _added(beam, report, "predict", wanted, compute_analyses, _about_analyses(settings, wanted[0]))


def _about_analyses(settings: PipelineSettings, task: AnalysisTask) -> dict[str, Any]:
    return {
        "name": settings.name,
        "source": str(Path(task.source).absolute()),
        "analyses": dict(task.versions),
        "antiphon": __version__,
    }


def _added(
    beam: _Beam,
    report: PipelineReport,
    step: str,
    tasks: Sequence[ShardWork],
    work: Callable[[Any], Any],
    about: Mapping[str, Any],
) -> PipelineReport:
    """Runs one of the steps stems, analyse and predict, and adds its result to the report; `about`: its manifest."""
    remove_others(tasks)
    computed = beam.compute(tasks, work)
    dead, sounds = _dead(tasks), sum(len(task.items) for task in tasks)
    shards = [task.path.name for task in tasks]
    _write_manifest(tasks[0].path.parent, {**about, "sounds": sounds, "shards": shards, "dead": dead})
    counts = {"sounds": sounds, "dead": len(dead), "shards": len(tasks), "computed": computed}
    return replace(report, dead={**report.dead, **dead}, analysed={**report.analysed, step: counts})


def _write_manifest(folder: Path, about: Mapping[str, Any]) -> None:
    write_atomic(folder / MANIFEST, (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())


def _dead(tasks: Iterable[ShardWork]) -> dict[str, str]:
    """Unusable sounds by name, with reasons."""
    return {
        row["name"]: row["reason"] if row["path"] == row["name"] else f"{row['path']}: {row['reason']}"
        for task in tasks
        if task.dead.is_file()
        for row in map(json.loads, task.dead.read_text("utf-8").splitlines())
    }


def shard_tasks(settings: PipelineSettings, items: Sequence[SourceItem]) -> list[ShardTask]:
    """Tasks of nonempty shards."""
    places = str(settings.out), FOLDER, str(settings.gather.path)
    chosen = settings.preprocess
    return [ShardTask(number, *places, part, chosen) for number, part in shared_out(items, chosen.shards)]
