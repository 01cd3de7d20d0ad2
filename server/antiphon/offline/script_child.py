"""The process that performs a live script for a file: `python -m antiphon.offline.script_child PATH SECONDS`.

The script is the performer's own, and runs with the performer's rights. What is bounded is what a mistake costs:
memory, and the time of a beat. Standard input brings one line of JSON, `{"tempo", "beats"}`, after the script was
read; on standard output go lines of JSON: first what the script says, then an event each, then `{"end": true}`, or a
`fault`. What the script prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from antiphon.live.faults import fault_in_script
from antiphon.live.performance import Performance
from antiphon.live.reading import LARGEST, read
from antiphon.live.records import LiveEvent, ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript
from antiphon.runtime.child_process import end_with_parent

MEMORY = 1 << 30
"""Bytes of private memory: the interpreter and numpy take 60 MB of them."""
_WALL, _LAST = 5.0, 2.0
"""How many times the processor time of a beat may pass by the clock, and in C, where Python cannot raise."""


def main(arguments: list[str]) -> int:
    """Performs a script; see the module."""
    path, seconds = arguments[0], float(arguments[1])
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(sys.stdout.fileno(), "w", 1, encoding="utf-8", errors="backslashreplace")  # lines, at once
    _confine(seconds)
    try:
        _perform(path, seconds, out)
    except ScriptError as error:
        _write(out, {"fault": str(error), "picture": error.picture})
    except (MemoryError, RecursionError, ScriptTooLong) as error:
        _write(out, {"fault": str(fault_in_script(path, error)), "picture": ""})
    except BrokenPipeError:
        return 1
    with contextlib.suppress(OSError):
        out.flush()
    # a script may have left threads behind, which are not to hold up the end
    os._exit(0)


def _perform(path: str, seconds: float, out: TextIO) -> None:
    random.seed(0)  # the same script plays the same notes, by whatever chance it takes
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    _rearm(seconds)
    script = read(path, _text(path))
    names = [track.name for track in script.tracks.values() if not track.sets] + list(script.loops)
    _write(
        out,
        {
            "patch": script.patch,
            "bar": _pair(script.bar),
            "seed": script.seed,
            "names": names,
            "line": script.patch_line,
            "listens": list(script.listens.items()),
        },
    )
    out.flush()
    _disarm()
    asked = json.loads(sys.stdin.readline() or "{}")
    if "beats" in asked:
        _play(script, float(asked["tempo"]), Fraction(*asked["beats"]), seconds, out)


def _play(script: LiveScript, tempo: float, beats: Fraction, seconds: float, out: TextIO) -> None:
    performance = Performance(script, tempo)
    while performance.beat < beats:
        _rearm(seconds)
        _events(out, performance.until(min(beats, performance.beat + 1)))
        out.write("\n")  # says that a beat has passed, also where nothing was played
        out.flush()
    _events(out, performance.ends())
    _write(out, {"end": True})


def _events(out: TextIO, events: Iterable[LiveEvent]) -> None:
    for event in events:
        _write(out, {
            "beat": _pair(event.beat), "address": event.address, "args": list(event.args), "source": event.source,
            "line": event.line,
        })  # fmt: skip


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(4 * LARGEST + 1)
        return content.decode("utf-8")
    except OSError as error:
        raise ScriptError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise ScriptError(f"cannot read {path}: it is not UTF-8 text") from None


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _write(out: TextIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")


def _confine(seconds: float) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        _disarm()  # the other timer is not to interrupt the report of this one
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)
        raise ScriptTooLong(f"{seconds:g} s")

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent decides
    signal.signal(signal.SIGPROF, end)
    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    for name, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):  # a system without that limit
            resource.setrlimit(name, (most, most))


def _rearm(seconds: float) -> None:
    """Allows another beat its time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WALL * seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)


def _disarm() -> None:
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
