"""Shard computation by Apache Beam: in local processes, on a Dask cluster, or by Beam's own options."""

import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from antiphon.api import FileError, UsageError
from antiphon.api.backends.runtime import ONE_THREAD, require_modules, shorten
from antiphon_models.pipeline import beam_worker
from antiphon_models.pipeline.apart import ParentLink, run_in_child
from antiphon_models.pipeline.shards import compute

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
    require_modules("the pipeline", _modules(runner))


def _modules(runner: str) -> tuple[str, ...]:
    return ("apache_beam", "pyarrow", *(["distributed"] if runner == "dask" else []))


def run(
    tasks: Sequence[Any],
    log: Path,
    *,
    work: Work = compute,
    runner: str = "direct",
    workers: int = 2,
    options: Sequence[str] = (),
) -> None:
    """Computes shards by `work`, a function of a module, with one of `RUNNERS`; `workers` processes.

    `log` is for what Beam and its workers print; `options` are Beam's, as "--dask_client_address=tcp://127.0.0.1:8786".
    Raises `FileError` where the runner has failed.
    """
    with _redirected_output(log), single_threads():
        if runner == "direct" and workers > 1:
            run_in_child(_direct, (list(tasks), log, work, workers, list(options)), log, "runs Beam's workers")
        else:
            with _errors_as_sentences(runner, log), _runner_context(runner, workers, options) as (kind, chosen):
                _compute(kind, chosen, tasks, work)


def _direct(link: ParentLink, tasks: list[Any], log: Path, work: Work, workers: int, options: list[str]) -> None:
    """Beam's direct runner with several processes, in a child process that ends when a worker does.

    Beam itself waits for ever for the answer of a worker that was killed, for want of memory or because the disk of
    its log is full.
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
    with _errors_as_sentences("direct", log):
        _compute(kind, [f"--direct_num_workers={workers}", *options], tasks, work)


def _compute(kind: Any, options: Sequence[str], tasks: Sequence[Any], work: Work) -> None:
    """Runs a pipeline of Beam by a runner, or the runner's name."""
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with apache_beam.Pipeline(kind, PipelineOptions(list(options))) as begin:
        _ = begin | apache_beam.Create(list(tasks)) | apache_beam.Reshuffle() | apache_beam.Map(work)


@contextmanager
def _errors_as_sentences(runner: str, log: Path) -> Iterator[None]:
    """Context that converts Beam's wrapped exceptions to a sentence."""
    try:
        yield
    except Exception as error:
        reason = shorten(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__, 200)
        raise FileError(f"Beam's runner {runner} has failed: {reason}; {log} has the rest") from error


@contextmanager
def _redirected_output(log: Path) -> Iterator[None]:
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
def single_threads() -> Iterator[None]:
    """One thread of arithmetic for each process that is started within: processes are as many as the cores."""
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
    """Context of the runner and its options; a local cluster is stopped afterwards."""
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
