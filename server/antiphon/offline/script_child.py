"""Process that performs a live script, PATH, for a file, with at most SECONDS per beat.

It writes the line of the loop or track that runs, in `LINE_DIGITS` digits, to the descriptor LINE.

The script is the performer's own, and runs with the performer's rights. Limits on memory and on the time of a beat
bound the cost of a mistake. The process sends the script's declarations. Each request has `beats`, `tempo` and `cues`;
the process sends a message per beat: its `events`, and whether that was the `end`, or a `fault`. The script's output
goes to standard error.
"""

import io
import os
import random
import signal
import sys
import time
from collections import deque
from fractions import Fraction
from types import FrameType
from typing import Any

from antiphon.kernel.runtime.paths import read_ordinary_text
from antiphon.kernel.runtime.platform import limit_resources, thread_clocks
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.live.faults import fault_in_script, refuse_forks, refuse_sleep
from antiphon.live.listening import cue_value
from antiphon.live.performance import Performance
from antiphon.live.reading import MAX_LETTERS, read
from antiphon.live.records import LiveEvent, ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript
from antiphon.offline.hearing import Cue

MEMORY = 1 << 30
"""Private memory limit in bytes: the interpreter and numpy take 60 MB of them."""
_WALL, _LAST = 5.0, 2.0
"""Factors of a step's CPU time limit: for a wait other than for a processor, and in C, where Python cannot raise."""
LINE_DIGITS = 8
"""Decimal digits of a line number."""
_LOOK = 0.05
"""Minimum time in seconds between checks of a slow step."""
_begun: list[float] = []


def set_limits(seconds: float, memory: int = MEMORY) -> None:
    """Prepares the limits of this process; `begin_step` begins a step of at most `seconds` of CPU time."""

    def end(number: int, frame: FrameType | None) -> None:
        end_step()  # the other timer is not to interrupt the report of this one
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)
        raise ScriptTooLong(f"{seconds:g} s")

    def look(number: int, frame: FrameType | None) -> None:
        if not _begun:  # it came as the step ended
            return
        rest = _WALL * seconds - (_stalled_seconds() - _begun[0])
        if rest <= 0:
            end(number, frame)
        signal.setitimer(signal.ITIMER_REAL, rest + _LOOK)

    signal.signal(signal.SIGPROF, end)
    signal.signal(signal.SIGALRM, look)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    limit_resources(data=memory, core=0)
    sys.addaudithook(lambda event, _: refuse_forks(event))


def begin_step(seconds: float) -> None:
    """Begins a step, which raises `ScriptTooLong` in Python; in C the process ends by SIGVTALRM."""
    _begun[:] = [_stalled_seconds()]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WALL * seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)


def _stalled_seconds() -> float:
    """Seconds in which this thread neither computed nor waited for a processor, since a fixed moment."""
    return time.monotonic() - sum(thread_clocks()) / 1e9


def end_step() -> None:
    """Ends a step."""
    _begun.clear()
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0.0)


def main(channel: HelperChannel, path: str, most: str, line: str) -> int:
    """Performs a script; see the module. Returns the exit code."""
    seconds = float(most)
    sys.stdout = os.fdopen(sys.stdout.fileno(), "w", 1, encoding="utf-8", errors="backslashreplace")  # lines, at once
    set_limits(seconds)
    refuse_sleep()
    try:
        _perform(path, seconds, int(line), channel)
    except ScriptError as error:
        channel.send({"fault": str(error), "picture": error.picture})
    except (MemoryError, RecursionError, ScriptTooLong) as error:
        channel.send({"fault": str(fault_in_script(path, error)), "picture": ""})
    except BrokenPipeError:
        return 1
    return 0


def _perform(path: str, seconds: float, line: int, channel: HelperChannel) -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    text = read_ordinary_text(path, 4 * MAX_LETTERS, "a script", ScriptError)
    script = _read(path, text, seconds)
    names = [track.name for track in script.tracks.values() if not track.sets] + list(script.loops)
    channel.send(
        {
            "patch": script.patch,
            "bar": script.bar.as_integer_ratio(),
            "seed": script.seed,
            "names": names,
            "line": script.patch_line,
            "listens": list(script.listens.items()),
            "levels": list(script.levels),
        }
    )
    for turn, asked in enumerate(channel.requests()):
        if turn:  # what it keeps in variables is as at first; what it prints was printed
            sys.stdout = io.StringIO()
            script = _read(path, text, seconds)
        cues = [(Fraction(above, below), name, value) for above, below, name, value in asked["cues"]]
        performance = Performance(script, float(asked["tempo"]))
        performance.before = lambda _run, _name, at: _note(line, at)
        _play(performance, Fraction(*asked["beats"]), cues, seconds, channel)


def _note(descriptor: int, line: int) -> None:
    os.pwrite(descriptor, b"%0*d" % (LINE_DIGITS, line), 0)


def _read(path: str, text: str, seconds: float) -> LiveScript:
    random.seed(0)  # the same script plays the same notes, by whatever chance it takes
    begin_step(seconds)
    script = read(path, text, patch_plays=True)
    end_step()  # a timer is not to interrupt a message
    return script


def _play(performance: Performance, beats: Fraction, cues: list[Cue], seconds: float, channel: HelperChannel) -> None:
    waiting = deque(cue for cue in cues if cue[0] < beats)
    while performance.beat < beats:
        begin_step(seconds)
        events = performance.until(min(beats, performance.beat + 1, waiting[0][0] if waiting else beats))
        while waiting and waiting[0][0] <= performance.beat:
            _, name, value = waiting.popleft()
            performance.cue(name, cue_value(name, value))
        end_step()
        channel.send({"events": [_plain(event) for event in events], "end": False})
    channel.send({"events": [_plain(event) for event in performance.ends()], "end": True})


def _plain(event: LiveEvent) -> list[Any]:
    return [event.beat.as_integer_ratio(), event.address, list(event.args), event.source, event.line]
