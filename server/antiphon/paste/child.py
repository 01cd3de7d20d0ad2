"""The process that translates, started by `translation`.

A program may be hostile, and its parser is one of Python, so it runs here: little memory and processor time, no files.
A request has `text`, and the sources of `packs` in the library; its answer `text`, the script, with the numbers of its
`tracks` and of the parts `left_out`, or `refused`, the reason.
"""

import ast
import builtins
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import ScriptError
from antiphon.live.stage import LiveScript
from antiphon.paste import strudel, tidal
from antiphon.paste.script import Script, pack_key
from antiphon.paste.words import FUNCTIONS

# ---- Trial of a translated script: each of its tracks plays some cycles, so that one that cannot be played is left
# out

CYCLES = 4
"""Cycles for which each track is tried."""
SECONDS = 1.5
"""Limit in seconds of processor time for all trials of a program; parts not tried by then are assumed to play."""
_PATH = "program"
Fault = tuple[int, str]
"""Line of the text, and the reason."""


class _TooLong(BaseException):
    """Raised when the processor time is over. Not an `Exception`, which a script might catch."""


def leave_out_unplayable(script: Script, unsafe_parts: Callable[[str, Set[str]], list[Fault]]) -> str:
    """Comments out the parts of a script that cannot be played; returns its text.

    `unsafe_parts`: finds the parts of a text that would do anything but play, given left-out names; they are never
    tried. Raises UsageError: such a line is not a statement of the program.
    """
    lost = set[str]()
    text = _comment_out_unsafe(script, unsafe_parts, lost)
    with suppress(_TooLong), _within(SECONDS):
        while script.tracks and (faults := _faults(text)):
            if not _left_out(script, text, faults, lost):
                break
            text = _comment_out_unsafe(script, unsafe_parts, lost)
    return text


def _comment_out_unsafe(script: Script, unsafe_parts: Callable[[str, Set[str]], list[Fault]], lost: set[str]) -> str:
    """Comments out the parts of a script that would do anything but play; returns its text."""
    while faults := unsafe_parts(text := script.text(), lost):
        if not _left_out(script, text, faults, lost):
            raise UsageError(f"{faults[0][1]}; write it by hand")
    return text


def _left_out(script: Script, text: str, faults: list[Fault], lost: set[str]) -> bool:
    """Comments out the statements at some lines; returns False if there is none."""
    statements: dict[int, tuple[ast.stmt, str]] = {}
    body = ast.parse(text).body
    for line, reason in faults:
        node = next((one for one in body if one.lineno <= line <= (one.end_lineno or 0)), None)
        if node is not None:
            statements.setdefault(node.lineno, (node, reason))
    # from below: a comment moves what follows
    silenced = [_comment_out_statement(script, *statements[line], lost) for line in sorted(statements, reverse=True)]
    return any(silenced)


def _comment_out_statement(script: Script, node: ast.stmt, reason: str, lost: set[str]) -> bool:
    """Comments out a statement; returns False if it is not one of the program's."""
    name = reason.removeprefix("there is no ").partition(" ")[0]
    reason = f"{name} is left out above" if name in lost else reason
    made = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    lost |= made | ({node.name} if isinstance(node, ast.FunctionDef) else set())
    return script.silence(node.lineno, node.end_lineno or node.lineno, reason)


def _faults(text: str) -> list[Fault]:
    """Faults of a script's text: the statement at which it stops, else the tracks that fail."""
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
    """Context that raises `_TooLong` in the main thread after `seconds` of processor time."""
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


PLAIN = frozenset({
    "abs", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "map", "max", "min", "round",
    "str",
})  # fmt: skip
"""Python functions allowed in translated programs."""
_MODULES = frozenset({"math", "antiphon.live"})


def translate_program(text: str, packs: Iterable[str] = ()) -> tuple[str, Script]:
    """Translates a program to a live script: text and builder. Raises UsageError: in neither language, or silent."""
    script = Script(packs=frozenset(map(pack_key, packs)))
    if tidal.is_tidal(text):
        script.dialect = "tidal"
        tidal.translate(text, script)
    else:
        strudel.translate(text, script)
    made = leave_out_unplayable(script, unsafe_parts) if script.tracks else ""
    if not script.tracks:
        reason = f"; {script.left_out[0].removeprefix('# ').rstrip(':')}" if script.left_out else ""
        raise UsageError(f'nothing in it plays{reason}; a program has lines such as $: s("bd*4") or d1 $ s "bd*4"')
    return made, script


def unsafe_parts(text: str, lost: Set[str] = frozenset()) -> list[tuple[int, str]]:
    """Lines of a script that would do anything but play, each with the reason; `lost`: its names that are left out.

    They read a name that belongs neither to the script nor to patterns, or a Python-internal attribute. Raises
    UsageError: it is not valid Python.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError("the translation is not a valid script; write it by hand") from None
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= lost | {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known = PLAIN | FUNCTIONS | {"math"} | (made - set(dir(builtins)))
    found = []
    for node in nodes:
        match node:
            case ast.Name(id=name) if name not in known or name.startswith("__"):
                found.append((node.lineno, f"the translation would use {name}, which no pattern needs"))
            case ast.Attribute(attr=name) if name.startswith("_"):
                found.append((node.lineno, f"the translation would use .{name}, which no pattern needs"))
            case ast.Import(names=names) if any(one.name not in _MODULES for one in names):
                found.append((node.lineno, "the translation would import a module"))
            case ast.ImportFrom(module=module) if module not in _MODULES:
                found.append((node.lineno, "the translation would import a module"))
    return found


def main(channel: HelperChannel) -> None:
    """Answers one request."""
    request = next(channel.requests())
    try:
        made, script = translate_program(str(request["text"]), request["packs"])
        channel.send({"text": made, "tracks": len(script.tracks), "left_out": len(script.left_out)})
    except UsageError as error:
        channel.send({"refused": str(error)})
