"""`antiphon run` without the command-line library, where its line is well-formed: read by its declarations alone."""

import contextlib
import os
import sys
from collections.abc import Sequence

from antiphon.cli.option_records import read
from antiphon.cli.terminal import errors
from antiphon.operations.requests import RunRequest


def run(words: Sequence[str]) -> int | None:
    """Exit code of `antiphon WORDS`, after running it; None where the library has to read them."""
    if words[:1] != ["run"] or sys.platform == "win32" or "_ANTIPHON_COMPLETE" in os.environ:
        return None
    asked = read(RunRequest, words[1:])
    if asked is None:
        return None
    from antiphon.kernel.runtime.processes.child_process import copy_for_children

    copy_for_children()
    yield_to_sound()
    return errors.exit_code(lambda: process(asked))


def process(asked: RunRequest) -> int:
    """Exit code of a plugin over files: 1 where some could not be processed."""
    with errors.termination_signals():
        from antiphon.cli.files.reports import PIPED, TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations.run import run as operation

        return int(bool(operation(asked, load(check=False), PIPED if asked.paths[-1] == "-" else TERMINAL)))


def yield_to_sound() -> None:
    """Gives this process a priority below that of servers of this user."""
    from antiphon.cli.ports import running
    from antiphon.kernel.errors import AntiphonError
    from antiphon.offline.priority import give_way

    beside = False
    with contextlib.suppress(AntiphonError):  # no folder for it: the command says so, if it needs one
        beside = bool(running())
    give_way(beside=beside)
