"""Trial of a translated script: each of its tracks plays some cycles, so that one that cannot be played is left out."""

import ast
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from antiphon.kernel.errors import UsageError
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import ScriptError
from antiphon.live.stage import LiveScript
from antiphon.paste.script import Script

CYCLES = 4
"""Cycles that each track plays."""
SECONDS = 1.5
"""Seconds of processor time for all trials of a program; what is not tried by then is taken as it is."""
_PATH = "program"
Fault = tuple[int, str]
"""Line of the text, and the reason."""


class _TooLong(BaseException):
    """The processor time is over. Not an `Exception`, which a script might catch."""


def leave_out_unplayable(script: Script, unwanted: Callable[[str, Set[str]], list[Fault]]) -> str:
    """Makes comments of what cannot be played of a script; its text.

    `unwanted`: what of a text would do anything but play, where names are left out; none of that is tried. Raises
    UsageError: a line of that kind is no statement of the program's.
    """
    lost = set[str]()
    text = _harmless(script, unwanted, lost)
    with suppress(_TooLong), _within(SECONDS):
        while script.tracks and (faults := _faults(text)):
            if not _left_out(script, text, faults, lost):
                break
            text = _harmless(script, unwanted, lost)
    return text


def _harmless(script: Script, unwanted: Callable[[str, Set[str]], list[Fault]], lost: set[str]) -> str:
    """Text of a script, once what would do anything but play is a comment."""
    while faults := unwanted(text := script.text(), lost):
        if not _left_out(script, text, faults, lost):
            raise UsageError(f"{faults[0][1]}; write it by hand")
    return text


def _left_out(script: Script, text: str, faults: list[Fault], lost: set[str]) -> bool:
    """Makes comments of the statements at some lines; False if there is none."""
    statements: dict[int, tuple[ast.stmt, str]] = {}
    body = ast.parse(text).body
    for line, reason in faults:
        node = next((one for one in body if one.lineno <= line <= (one.end_lineno or 0)), None)
        if node is not None:
            statements.setdefault(node.lineno, (node, reason))
    # from below: a comment moves what follows
    silenced = [_silenced(script, *statements[line], lost) for line in sorted(statements, reverse=True)]
    return any(silenced)


def _silenced(script: Script, node: ast.stmt, reason: str, lost: set[str]) -> bool:
    """Makes a statement a comment; False if it is none of the program's."""
    name = reason.removeprefix("there is no ").partition(" ")[0]
    reason = f"{name} is left out above" if name in lost else reason
    made = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    lost |= made | ({node.name} if isinstance(node, ast.FunctionDef) else set())
    return script.silence(node.lineno, node.end_lineno or node.lineno, reason)


def _faults(text: str) -> list[Fault]:
    """What cannot be played of a text: the statement at which it stops, else the tracks that fail."""
    try:
        script = read(_PATH, text)
    except ScriptError as error:
        frames = list(traceback.extract_tb(error.__cause__.__traceback__)) if error.__cause__ else []
        line = next((one.lineno for one in frames if one.filename == _PATH), None)
        return [(line, _reason(error))] if line else []
    return [found for name in script.tracks if (found := _fault(script, name)) is not None]


def _fault(script: LiveScript, name: str) -> Fault | None:
    track = script.tracks[name]
    try:
        Performance(replace(script, tracks={name: track})).until(CYCLES * script.bar)
    except ScriptError as error:
        return track.line, _reason(error)
    return None


def _reason(error: ScriptError) -> str:
    return str(error).removeprefix(_PATH).lstrip(" line0123456789").removeprefix(": ").splitlines()[0]


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises `_TooLong` in the main thread after so much processor time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGPROF, ended)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
