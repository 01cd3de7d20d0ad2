"""Has Apache Beam compute the shards: here in several processes, on a Dask cluster, or where its own options say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.helper_process import ONE_THREAD
from antiphon_models.pipeline.beam_running import compute_by, failure_of
from antiphon_models.pipeline.direct import run_direct
from antiphon_models.pipeline.shards import compute

RUNNERS = ("direct", "dask", "flink", "spark", "dataflow")
"""As `--runner` takes them; the last three have not been tried."""
_CLASSES = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
_MODULES = {"dask": "distributed"}


def check_runner(runner: str) -> None:
    """Refuses a runner that is not known, or not installed.

    Raises:
        UsageError: So it is.
    """
    if runner not in RUNNERS:
        raise UsageError(f"there is no runner {runner!r}; the runners are {', '.join(RUNNERS)}")
    extras.require("the pipeline", _modules(runner))


def is_installed(runner: str) -> bool:
    """Whether the packages of a runner are there."""
    return not extras.missing(_modules(runner))


def _modules(runner: str) -> tuple[str, ...]:
    return ("apache_beam", "pyarrow", *([_MODULES[runner]] if runner in _MODULES else []))


def run(
    tasks: Sequence[Any],
    log: Path,
    *,
    work: Callable[[Any], Any] = compute,
    runner: str = "direct",
    workers: int = 2,
    options: Sequence[str] = (),
) -> None:
    """Computes shards by `work`, a function of a module, with one of `RUNNERS`; `workers` are processes.

    `log` is for what Beam and its workers print; `options` are Beam's, as "--dask_client_address=tcp://127.0.0.1:8786".

    Raises:
        FileError: The runner has failed.
    """
    with _printed(log), single_threads():
        if runner == "direct" and workers > 1:
            run_direct(tasks, log, work, workers, options)
        else:
            with failure_of(runner, log), _place(runner, workers, options) as (kind, chosen):
                compute_by(kind, chosen, tasks, work)


@contextmanager
def _printed(log: Path) -> Iterator[None]:
    """Sends standard error, of children too, to a file: Beam's workers print every step of theirs."""
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
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _place(runner: str, workers: int, options: Sequence[str]) -> Iterator[tuple[Any, list[str]]]:
    """The runner and its options; a cluster of this machine's own is stopped afterwards."""
    if runner == "direct":
        yield "DirectRunner", list(options)
    elif runner == "dask":
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
    else:
        yield _CLASSES[runner], list(options)
