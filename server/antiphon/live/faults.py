"""Script errors as one sentence with file and line."""

from __future__ import annotations

import os
import time
import traceback
from typing import SupportsIndex

from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.live import foreign_words
from antiphon.live.patterns.mini.tree import MiniError
from antiphon.live.patterns.words.table import NOT_HERE
from antiphon.live.records import ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript, performing

_LONGEST = 300


def refuse_copies(event: str) -> None:
    """Audit hook that raises `UsageError` for a fork of the process, which nothing would end."""
    if event in ("os.fork", "os.forkpty"):
        raise UsageError("a live script makes no copies of its process; take os.fork and multiprocessing out")


def refuse_sleep() -> None:
    """Has `time.sleep` raise `UsageError` in a script of this process; threads of the script may sleep."""
    sleep = time.sleep

    def refused(seconds: float | SupportsIndex) -> None:
        if performing():
            raise UsageError(f"time.sleep stops all that plays; {NOT_HERE['sleep']}")
        sleep(seconds)

    time.sleep = refused


def fault(script: LiveScript, error: BaseException, line: int = 0) -> ScriptError:
    """Script error for a Python error; `line`: its line, if its traceback does not say."""
    return fault_in_script(script.path, error, line)


def fault_in_script(path: str, error: BaseException, line: int = 0) -> ScriptError:
    """`fault` with the position given by the path of the script."""
    if isinstance(error, ScriptError):
        return error
    name = os.path.basename(path) or path
    if isinstance(error, SyntaxError) and error.filename == path:
        text = (error.text or "").rstrip("\n")
        column = max(1, error.offset or 1)
        shown = text.expandtabs(1)[:100]
        picture = f"{shown}\n{' ' * (min(column, 100) - 1)}^" if shown else ""
        known = foreign_words.of_syntax(text, error.msg) or error.msg
        return ScriptError(f"{name} line {error.lineno or 1}: {known}", picture)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    at = (lines[-1] if lines else line) or line
    where = f"{name} line {at}" if at else name
    return ScriptError(f"{where}: {_said(error, path)}", error.picture if isinstance(error, MiniError) else "")


def _said(error: BaseException, path: str) -> str:
    if isinstance(error, AntiphonError):
        return str(error)
    if isinstance(error, RecursionError):
        return "it calls itself too deeply; patterns within patterns within patterns are too many"
    if isinstance(error, MemoryError):
        return "it takes more memory than a script may have"
    if isinstance(error, ScriptTooLong):
        return f"it runs without end: {error} without a wait; a loop waits by yield"
    if isinstance(error, SystemExit):
        return "a script plays to its end: take exit() out"
    known = ""
    if isinstance(error, AttributeError):
        known = foreign_words.of_attribute(error)
    elif isinstance(error, NameError):
        known = foreign_words.of_name(error)
    elif isinstance(error, TypeError):
        known = foreign_words.of_call(error)
    if known := known or foreign_words.of_value(error, path):
        return known
    text = " ".join(str(error).split())[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
