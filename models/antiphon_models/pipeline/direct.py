"""Beam's direct runner with several processes, of which none outlives the run, and none ends without a word.

Beam itself waits for ever for the answer of a worker that was killed, for want of memory or because the disk of its log
is full. So its runner is in a process of its own, which ends where a worker does.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from antiphon_models.pipeline import beam_worker
from antiphon_models.pipeline.apart import ParentLink, run_apart
from antiphon_models.pipeline.beam_running import compute_by, failure_of
from antiphon_models.pipeline.beam_worker import PARENT

_THREAD = "run_worker"
"""Beam's name of the thread that looks after a worker, in which the worker's end is an exception."""


def run_direct(
    tasks: Sequence[Any], log: Path, work: Callable[[Any], Any], workers: int, options: Sequence[str]
) -> None:
    """Computes shards in several processes of this machine; see `runners.run`.

    Raises:
        FileError: It has failed.
    """
    run_apart(_direct, (list(tasks), log, work, workers, list(options)), log, "runs Beam's workers")


def _direct(
    link: ParentLink, tasks: list[Any], log: Path, work: Callable[[Any], Any], workers: int, options: list[str]
) -> None:
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
    os.environ[PARENT] = str(os.getpid())
    # `exec` leaves no shell between the two
    command = f"exec {shlex.quote(sys.executable)} -m {beam_worker.__name__}"
    kind = FnApiRunner(SubprocessSDKEnvironment.from_command_string(command))
    with failure_of("direct", log):
        compute_by(kind, [f"--direct_num_workers={workers}", *options], tasks, work)
