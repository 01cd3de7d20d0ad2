"""Runs work in a child process that ends with its parent; any failure becomes an error message.

Uses `multiprocessing`, not `spawn`, because functions and dataclasses are passed.
"""

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError


@dataclass(frozen=True, slots=True)
class ParentLink:
    """Child's link to the parent process, usable from any thread."""

    messages: Connection

    def send(self, *values: Any) -> None:
        """Sends values to the parent's `watch`."""
        self.messages.send((False, values))

    def end(self, failure: str | None) -> None:
        """Reports to the parent that the work is complete, or why it failed."""
        self.messages.send((True, failure))


def run_in_child(
    work: Callable[..., None],
    arguments: Sequence[Any],
    log: Path,
    what: str,
    watch: Callable[..., None] = lambda *_: None,
) -> None:
    """Calls a module's function in a new process, with a `ParentLink` and plain data, and waits for its return.

    `log` receives its output; `what` describes the work in messages: "computes shards"; `watch` gets the sent values.

    Raises `FileError`: the work has failed, or the process has ended.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, tuple(arguments), log, what, theirs))
    process.start()
    theirs.close()
    failure: str | None = f"the process that {what} has ended; {log} has what it printed"
    try:
        while True:
            wait([ours, process.sentinel])
            if not ours.poll():
                break
            try:
                end, values = ours.recv()
            except EOFError:
                break
            if end:
                failure = values
                break
            watch(*values)
    finally:
        if failure:
            process.terminate()
        process.join()
        ours.close()
    if failure:
        raise FileError(failure)


def _child(work: Callable[..., None], arguments: tuple[Any, ...], log: Path, what: str, messages: Connection) -> None:
    _end_with_parent()
    link = ParentLink(messages)
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    failure: str | None = None
    try:
        work(link, *arguments)
    except AntiphonError as error:
        failure = str(error)
    except Exception as error:  # of whatever kind a library has
        traceback.print_exc()
        reason = " ".join(str(error).split())[:200]
        failure = f"the process that {what} has failed: {type(error).__name__}: {reason}; {log} has the rest"
    link.end(failure)
    sys.stdout.flush()


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
