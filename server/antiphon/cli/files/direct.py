"""`antiphon run` without the command-line library, if the line is well-formed: reads it by its declarations alone."""

import contextlib
import os
import sys
from collections.abc import Sequence

from antiphon.cli import errors
from antiphon.cli.option_records import read
from antiphon.operations.requests import RunRequest


def run(words: Sequence[str]) -> int | None:
    """Runs `antiphon WORDS`; returns its exit code, or None where the library has to read the words."""
    if words[:1] != ["run"] or sys.platform == "win32" or "_ANTIPHON_COMPLETE" in os.environ:
        return None
    asked = read(RunRequest, words[1:])
    if asked is None:
        return None
    from antiphon.kernel.runtime.processes.child_process import allow_copied_children

    allow_copied_children()
    set_priority_below_servers()
    return errors.exit_code(lambda: process(asked))


def process(asked: RunRequest) -> int:
    """Processes files by a plugin; returns the exit code, 1 if some could not be processed."""
    with errors.termination_signals():
        from antiphon.cli.files.reports import PIPED, TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations.run import run as operation

        return int(bool(operation(asked, load(check=False), PIPED if asked.paths[-1] == "-" else TERMINAL)))


def set_priority_below_servers() -> None:
    """Gives this process a priority below that of servers of this user."""
    from antiphon.client.finding import running_servers
    from antiphon.kernel.errors import AntiphonError
    from antiphon.offline.priority import give_way

    beside = False
    with contextlib.suppress(AntiphonError):  # no folder for it: the command says so, if it needs one
        beside = bool(running_servers())
    give_way(beside=beside)
