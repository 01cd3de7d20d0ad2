"""Trial of a translated script: each of its tracks plays some cycles, so that one that cannot be played is left out."""

import ast
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

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
_Fault = tuple[int, str]
"""Line of the text, and the reason."""


class _TooLong(BaseException):
    """The processor time is over. Not an `Exception`, which a script might catch."""


def leave_out_unplayable(script: Script, checked: Callable[[Set[str]], str]) -> str:
    """Makes comments of what cannot be played of a script; its text.

    `checked`: gives its text, which does no harm, where names are left out.
    """
    lost = set[str]()
    text = checked(lost)
    with suppress(_TooLong), _within(SECONDS):
        while script.tracks and (faults := _faults(text)):
            tree = ast.parse(text)
            left_out = [_silenced(script, tree, line, reason, lost) for line, reason in reversed(faults)]
            if not any(left_out):
                break
            text = checked(lost)
    return text


def _silenced(script: Script, tree: ast.Module, line: int, reason: str, lost: set[str]) -> bool:
    """Makes the statement at a line a comment; False if there is none."""
    node = next((one for one in tree.body if one.lineno <= line <= (one.end_lineno or 0)), None)
    if node is None:
        return False
    name = reason.removeprefix("there is no ").partition(" ")[0]
    reason = f"{name} is left out above" if name in lost else reason
    made = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    lost |= made | ({node.name} if isinstance(node, ast.FunctionDef) else set())
    return script.silence(node.lineno, node.end_lineno or node.lineno, reason)


def _faults(text: str) -> list[_Fault]:
    """What cannot be played of a text: the statement at which it stops, else the tracks that fail."""
    try:
        script = read(_PATH, text)
    except ScriptError as error:
        frames = list(traceback.extract_tb(error.__cause__.__traceback__)) if error.__cause__ else []
        line = next((one.lineno for one in frames if one.filename == _PATH), None)
        return [(line, _reason(error))] if line else []
    return [found for name in script.tracks if (found := _fault(script, name)) is not None]


def _fault(script: LiveScript, name: str) -> _Fault | None:
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
