"""Runs the steps of a pipeline, each of which finds out what is still to be done."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from antiphon.errors import FileError
from antiphon.pipeline import runners
from antiphon.pipeline.gathering import SourceItem, gather, read_items, shard_of
from antiphon.pipeline.settings import PipelineSettings
from antiphon.pipeline.shards import FOLDER, ShardTask, is_done
from antiphon.pipeline.training.steps import TRAINING_STEPS, Progress, TrainingReport, check_steps, run_steps
from antiphon.runtime.paths import write_atomic

MANIFEST = "manifest.json"
LOG = "beam.log"
"""What Beam and its workers print."""


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What a run has done.

    Attributes:
        out: The folder that it wrote to.
        items: Sounds listed.
        shards: Shards that there are.
        computed: Those of them that this run has computed.
        dead: Sounds that could not be used, by name, and why.
        splits: Sounds of each split.
        training: What the steps train, evaluate and deploy have done.
    """

    out: str
    items: int
    shards: int
    computed: int
    dead: dict[str, str]
    splits: dict[str, int]
    training: TrainingReport | None = None


def run(
    settings: PipelineSettings,
    steps: Sequence[str],
    runner: str = "direct",
    workers: int = 2,
    options: Sequence[str] = (),
    progress: Progress = lambda *_: None,
) -> PipelineReport:
    """Runs steps.

    Args:
        settings: The pipeline.
        steps: Some of `settings.STEPS`, in order.
        runner: One of `runners.RUNNERS`.
        workers: Processes.
        options: Beam's own.
        progress: Called after each epoch of a training.

    Returns:
        What there is now.

    Raises:
        FileError: Files cannot be read or written.
        UsageError: A step or runner is not to be had.
    """
    if "preprocess" in steps:
        runners.check_runner(runner)
    check_steps(settings, steps)
    items = gather(settings) if "gather" in steps else read_items(settings)
    tasks = shard_tasks(settings, items)
    computed = 0
    if "preprocess" in steps:
        _remove_others(settings, tasks)
        undone = [task for task in tasks if not is_done(task)]
        if undone:
            runners.run(undone, settings.out / LOG, runner=runner, workers=workers, options=options)
            if left := [task.number for task in undone if not is_done(task)]:
                raise FileError(f"shard {left[0]} was not written; {settings.out / LOG} has what Beam says")
        computed = len(undone)
    there = [task for task in tasks if task.path.is_file()]
    dead = {
        row["name"]: f"{row['path']}: {row['reason']}"
        for task in there
        if task.dead.is_file()
        for row in map(json.loads, task.dead.read_text("utf-8").splitlines())
    }
    splits = dict(sorted(Counter(item.split for item in items if item.name not in dead).items()))
    report = PipelineReport(str(settings.out), len(items), len(there), computed, dead, splits)
    if "preprocess" in steps:
        about = {"name": settings.name, "dataset": settings.gather.dataset, "settings": asdict(settings.preprocess),
                 "items": len(items), "shards": [f"{FOLDER}/{task.path.name}" for task in there], "splits": splits,
                 "dead": dead}  # fmt: skip
        write_atomic(settings.out / MANIFEST, (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())
    if set(steps) & set(TRAINING_STEPS):
        report = replace(report, training=run_steps(settings, steps, items, tasks, progress))
    return report


def shard_tasks(settings: PipelineSettings, items: Sequence[SourceItem]) -> list[ShardTask]:
    """The shards, without those that no item falls into."""
    parts: defaultdict[int, list[SourceItem]] = defaultdict(list)
    for item in items:
        parts[shard_of(item.name, settings.preprocess.shards)].append(item)
    return [
        ShardTask(number, str(settings.out), str(settings.gather.path), tuple(parts[number]), settings.preprocess)
        for number in sorted(parts)
    ]


def _remove_others(settings: PipelineSettings, tasks: Sequence[ShardTask]) -> None:
    """Removes shards of another number of shards, which would hold items twice."""
    wanted = {task.path for task in tasks}
    for path in sorted((settings.out / FOLDER).glob("*.parquet")):
        if path not in wanted:
            path.unlink()
