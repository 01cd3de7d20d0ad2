"""Runs the steps of a pipeline, each of which determines its remaining work."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from msgspec import structs

from antiphon import __version__
from antiphon.api import FileError, UsageError
from antiphon.api.backends.analysis import separate_blocks
from antiphon.api.backends.files import TEMPORARY_NAME, AudioWriter, hold_lock, reason_of_os_error, write_atomic
from antiphon.api.backends.runtime import require_modules, shorten
from antiphon.kernel.runtime.processes.children import ONE_THREAD
from antiphon.offline.analyses import separator
from antiphon.signal.mel import LogMel
from antiphon_library.shard_import import ANALYSES
from antiphon_models.pipeline import beam_worker
from antiphon_models.pipeline.analysing import PREDICTIONS, AnalysisTask, analysis_tasks, compute_analyses, new_sounds
from antiphon_models.pipeline.apart import ParentLink, run_in_child
from antiphon_models.pipeline.settings import PipelineSettings
from antiphon_models.pipeline.shards import (
    FOLDER,
    ShardTask,
    ShardWork,
    SourceItem,
    compute,
    excerpt,
    gather,
    is_done,
    items_by_shard,
    mel_cells,
    read_items,
    row_fields,
    sounds_of,
    write_shard,
)
from antiphon_models.pipeline.training.excerpts import class_counts
from antiphon_models.pipeline.training.steps import TRAINING_STEPS, Progress, TrainingReport, check_steps, run_steps

# ---- Shard computation by Apache Beam: in local processes, on a Dask cluster, or by Beam's own options

RUNNERS = ("direct", "dask", "flink", "spark", "dataflow")
"""Values of `--runner`; the last three are untested."""
_CLASSES = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
_THREAD = "run_worker"
"""Name of Beam's thread that supervises a worker, where its exit raises an exception."""
Work = Callable[[Any], Any]


def check_runner(runner: str) -> None:
    """Raises `UsageError` for a runner that is not known, or not installed."""
    if runner not in RUNNERS:
        raise UsageError(f"there is no runner {runner!r}; the runners are {', '.join(RUNNERS)}")
    require_modules("the pipeline", ("apache_beam", "pyarrow", *(["distributed"] if runner == "dask" else [])))


def run_tasks(
    tasks: Sequence[Any],
    log: Path,
    *,
    work: Work = compute,
    runner: str = "direct",
    workers: int = 2,
    options: Sequence[str] = (),
) -> None:
    """Computes shards by `work`, a function of a module, with one of `RUNNERS`; `workers` processes.

    `log` receives the output of Beam and its workers; `options` are Beam's, such as
    "--dask_client_address=tcp://127.0.0.1:8786". Raises `FileError`: the runner has failed.
    """
    with _redirect_standard_error(log), limit_to_one_thread():
        if runner == "direct" and workers > 1:
            run_in_child(_direct, (list(tasks), log, work, workers, list(options)), log, "runs Beam's workers")
        else:
            with _convert_beam_errors(runner, log), _runner_context(runner, workers, options) as (kind, chosen):
                _compute(kind, chosen, tasks, work)


def _direct(link: ParentLink, tasks: list[Any], log: Path, work: Work, workers: int, options: list[str]) -> None:
    """Runs Beam's direct runner with several processes, in a child process that ends when a worker does.

    Beam itself waits for ever for a worker that was killed, for lack of memory or because the disk with its log is
    full.
    """
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    def ended(raised: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(raised)
        if raised.thread is not None and raised.thread.name == _THREAD:
            link.end(
                f"one of Beam's workers has ended ({raised.exc_value}), perhaps for want of memory or of room on the "
                f"disk; {log} has the rest. Run it again: what is done is not done again"
            )
            os._exit(1)

    threading.excepthook = ended
    os.environ[beam_worker.PARENT] = str(os.getpid())
    # `exec` leaves no shell between the two
    command = f"exec {shlex.quote(sys.executable)} -m {beam_worker.__name__}"
    kind = FnApiRunner(SubprocessSDKEnvironment.from_command_string(command))
    with _convert_beam_errors("direct", log):
        _compute(kind, [f"--direct_num_workers={workers}", *options], tasks, work)


def _compute(kind: Any, options: Sequence[str], tasks: Sequence[Any], work: Work) -> None:
    """Runs a Beam pipeline with a runner, or the name of one."""
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with apache_beam.Pipeline(kind, PipelineOptions(list(options))) as begin:
        _ = begin | apache_beam.Create(list(tasks)) | apache_beam.Reshuffle() | apache_beam.Map(work)


@contextmanager
def _convert_beam_errors(runner: str, log: Path) -> Iterator[None]:
    """Context that converts Beam's wrapped exceptions to `FileError` with one sentence."""
    try:
        yield
    except Exception as error:
        reason = shorten(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__, 200)
        raise FileError(f"Beam's runner {runner} has failed: {reason}; {log} has the rest") from error


@contextmanager
def _redirect_standard_error(log: Path) -> Iterator[None]:
    """Context that redirects standard error, of children too, to a file: Beam's workers log every step."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with open(log, "ab", buffering=0) as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


@contextmanager
def limit_to_one_thread() -> Iterator[None]:
    """Context that limits arithmetic to one thread in each process started within: there is a process for each core."""
    single = {**ONE_THREAD, "NUMBA_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in single}
    os.environ.update(single)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _runner_context(runner: str, workers: int, options: Sequence[str]) -> Iterator[tuple[Any, list[str]]]:
    """Context with the runner and its options; a local cluster is stopped at the end."""
    if runner == "direct":
        yield "DirectRunner", list(options)
        return
    if runner != "dask":
        yield _CLASSES[runner], list(options)
        return
    from apache_beam.runners.dask.dask_runner import DaskRunner
    from distributed import LocalCluster, default_client

    if any(option.startswith(("--dask_client_address", "--dask_scheduler_file")) for option in options):
        try:
            yield DaskRunner(), list(options)
        finally:
            with suppress(ValueError):  # there is none where the cluster was not there
                default_client().close()
        return
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        try:
            yield DaskRunner(), [*options, f"--dask_client_address={cluster.scheduler_address}"]
        finally:
            # Beam leaves its client open, which would look for its cluster for half a minute
            default_client().close()


# ---- Step stems: the stems of each sound as files, and shards of their spectrograms

STEMS_FOLDER = "stems"
SOUNDS = "stem-sounds"
"""Folder of the stems: DIGEST/PART.flac, by the digest of the sound's file."""
SILENT_DB = -120.0
"""Level in dB of a silent stem."""


def stems_tasks(settings: PipelineSettings, items: Sequence[SourceItem]) -> list[ShardTask]:
    """Tasks of nonempty shards. Raises `PluginError`: no plugin separates sounds."""
    chosen, version = settings.preprocess, separator().version
    places = str(settings.out), STEMS_FOLDER, str(settings.gather.path)
    return [ShardTask(n, *places, part, chosen, version) for n, part in items_by_shard(items, chosen.shards)]


def compute_stems(task: ShardTask) -> None:
    """Computes and writes a shard. Raises `FileError`: it cannot be written."""
    import pyarrow

    mel, rows = LogMel(task.settings.mel), list[dict[str, Any]]()
    dead: list[dict[str, str]] = []
    for row, (sound, seconds) in sounds_of(task, partial(excerpt, seconds=task.settings.seconds), dead):
        channels = len(sound.samples)
        parts, blocks = separate_blocks([sound.samples], sound.rate, channels)
        stems = np.concatenate(list(blocks), axis=2)
        power = float(np.mean(sound.samples**2)) + 1e-12
        for part, stem in zip(parts, stems, strict=True):
            place = Path(SOUNDS) / row["digest"] / f"{part}.flac"
            (target := Path(task.out) / place).parent.mkdir(parents=True, exist_ok=True)
            with AudioWriter(target, sound.rate, channels, sound.info.subtype) as writer:
                writer.write(stem)
            spectrogram = mel.compute(soxr.resample(stem.mean(0), sound.rate, task.settings.rate).astype(np.float32))
            level = max(SILENT_DB, 10.0 * np.log10(float(np.mean(stem**2)) / power + 1e-12))
            rows.append(
                {**row, "seconds": seconds, "stem": part, "sound": str(place), "level": level, **mel_cells(spectrogram)}
            )
    own = ("stem", pyarrow.string()), ("sound", pyarrow.string()), ("level", pyarrow.float64())
    write_shard(task, row_fields(*own), rows, task.dependencies(), {task.dead: dead})


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

    Raises `FileError`: a file cannot be removed.
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
    """Contents of the folder, two levels deep: the deepest folder written is training/FRAMEWORK."""
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
"""Name of the file with the output of Beam and its workers."""


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """Report of a run.

    `computed`: number of shards computed by this run. `dead`: unusable sounds by name, with the reason. `classes`: by
    label, the number of its sounds in each split of the training. `analysed`: for the steps stems, analyse and predict,
    the numbers of "sounds", "dead", "shards" and "computed". `training`: results of the steps train, evaluate and
    deploy.
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

    `progress` is called after each epoch of a training, `begins` before shards are computed, with their number and
    folder. `options` are Beam's own.

    Raises `FileError`: files cannot be read or written. `UsageError`: a step or runner is not available.
    """
    if {"preprocess", "stems", "analyse", "predict"} & set(steps):
        check_runner(runner)
    check_steps(settings, steps)
    with claim_folder(settings.out):
        return _run(settings, steps, _Beam(settings.out / LOG, runner, workers, options, begins), progress)


def _run(settings: PipelineSettings, steps: Sequence[str], beam: _Beam, progress: Progress) -> PipelineReport:
    if tuple(steps) == ("predict",):  # of other sounds, which need no data set
        return _run_predict_step(settings, beam, PipelineReport(str(settings.out), 0, 0, 0, {}, {}))
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
        described = {"name": settings.name, **stems[0].dependencies()}
        report = _run_analysis_step(beam, report, "stems", stems, compute_stems, described)
    if "analyse" in steps:
        chosen = settings.analyse
        wanted = analysis_tasks(settings.out, ANALYSES, settings.gather.path, items, chosen.analyses, chosen.shards)
        report = _run_analysis_step(
            beam, report, "analyse", wanted, compute_analyses, _about_analyses(settings, wanted[0])
        )
    if set(steps) & set(TRAINING_STEPS):
        report = replace(report, training=run_steps(settings, steps, whole, tasks, progress))
    return _run_predict_step(settings, beam, report) if "predict" in steps else report


@dataclass(frozen=True, slots=True)
class _Beam:
    """Runner settings: arguments of `run_tasks`."""

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
            run_tasks(undone, self.log, work=work, runner=self.runner, workers=self.workers, options=self.options)
            if left := [task.path for task in undone if not is_done(task)]:
                raise FileError(f"the shard {left[0]} was not written; {self.log} has what Beam says")
        return len(undone)


def _run_predict_step(settings: PipelineSettings, beam: _Beam, report: PipelineReport) -> PipelineReport:
    chosen = settings.predict
    if chosen is None:
        raise UsageError('the step predict needs a table [predict] with path = "FOLDER", where the new sounds are')
    items = new_sounds(chosen.path)
    wanted = analysis_tasks(settings.out, PREDICTIONS, chosen.path, items, chosen.analyses, chosen.shards)
    return _run_analysis_step(beam, report, "predict", wanted, compute_analyses, _about_analyses(settings, wanted[0]))


def _about_analyses(settings: PipelineSettings, task: AnalysisTask) -> dict[str, Any]:
    return {
        "name": settings.name,
        "source": str(Path(task.source).absolute()),
        "analyses": dict(task.versions),
        "antiphon": __version__,
    }


def _run_analysis_step(
    beam: _Beam,
    report: PipelineReport,
    step: str,
    tasks: Sequence[ShardWork],
    work: Callable[[Any], Any],
    about: Mapping[str, Any],
) -> PipelineReport:
    """Runs one of the steps stems, analyse and predict; adds its result to the report. `about`: manifest entries."""
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
    return [ShardTask(number, *places, part, chosen) for number, part in items_by_shard(items, chosen.shards)]
