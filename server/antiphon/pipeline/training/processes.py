"""Trains each framework in a process of its own, one after another, which ends with the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from antiphon.errors import AntiphonError, FileError
from antiphon.pipeline.training.checkpoint import EpochFigures
from antiphon.pipeline.training.excerpts import read_set
from antiphon.pipeline.training.frameworks import FRAMEWORKS, Framework
from antiphon.pipeline.training.learning import LearningJob, learn

LOG = "train.log"
"""What frameworks print."""


def learn_apart(job: LearningJob, framework: Framework, watch: Callable[[int, EpochFigures], None]) -> None:
    """Trains a framework, and returns when its classifier is written.

    Args:
        job: What to train.
        framework: With what.
        watch: See `learning.Watch`.

    Raises:
        FileError: It has failed.
    """
    log = job.out / LOG
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, framework.name, log, theirs), daemon=True)
    process.start()
    theirs.close()
    failure: str | None = f"the process that trains {framework.name} has ended; {log} has what it printed"
    try:
        while True:
            wait([ours, process.sentinel])
            if not ours.poll():
                break
            try:
                kind, *rest = ours.recv()
            except EOFError:
                break
            if kind == "epoch":
                watch(*rest)
            else:
                failure = rest[0]
                break
    finally:
        if failure:
            process.terminate()
        process.join()
        ours.close()
    if failure:
        raise FileError(failure)


def _work(job: LearningJob, name: str, log: Path, messages: Connection) -> None:
    """What the process does. It sends ("epoch", number, figures), and ("end", None or why it failed)."""
    _end_with_parent()
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    failure: str | None = None
    try:
        training = read_set(job.out)
        if training is None:
            raise FileError(f"{job.out} has no training set; run the step train again")
        learn(job, FRAMEWORKS[name], training, lambda epoch, figures: messages.send(("epoch", epoch, figures)))
    except AntiphonError as error:
        failure = str(error)
    except Exception as error:  # of whatever kind a framework has
        traceback.print_exc()
        reason = " ".join(str(error).split())[:200]
        failure = f"{name} has failed: {type(error).__name__}: {reason}; {log} has the rest"
    messages.send(("end", failure))
    sys.stdout.flush()


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
