"""Process that performs a live script for a file, PATH, in so many SECONDS a beat.

The script is the performer's own, and runs with the performer's rights. What is bounded is what a mistake costs:
memory, and the time of a beat. It sends what the script says; it is asked for `beats` at a `tempo` with `cues`, once or
again, and sends a message a beat: its `events`, and whether that was the `end`. Or it sends a `fault`. What the script
prints goes to standard error.
"""

import io
import os
import random
import sys
from collections import deque
from fractions import Fraction
from typing import Any

from antiphon.kernel.runtime.paths import read_ordinary_text
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.live.faults import fault_in_script, refuse_sleep
from antiphon.live.listening import cue_value
from antiphon.live.performance import Performance
from antiphon.live.reading import MAX_LETTERS, read
from antiphon.live.records import LiveEvent, ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript
from antiphon.offline.hearing import Cue
from antiphon.offline.script_limits import begin_step, end_step, set_limits


def main(channel: HelperChannel, path: str, most: str) -> int:
    """Performs a script; see the module."""
    seconds = float(most)
    sys.stdout = os.fdopen(sys.stdout.fileno(), "w", 1, encoding="utf-8", errors="backslashreplace")  # lines, at once
    set_limits(seconds)
    refuse_sleep()
    try:
        _perform(path, seconds, channel)
    except ScriptError as error:
        channel.send({"fault": str(error), "picture": error.picture})
    except (MemoryError, RecursionError, ScriptTooLong) as error:
        channel.send({"fault": str(fault_in_script(path, error)), "picture": ""})
    except BrokenPipeError:
        return 1
    return 0


def _perform(path: str, seconds: float, channel: HelperChannel) -> None:
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
        _play(script, float(asked["tempo"]), Fraction(*asked["beats"]), cues, seconds, channel)


def _read(path: str, text: str, seconds: float) -> LiveScript:
    random.seed(0)  # the same script plays the same notes, by whatever chance it takes
    begin_step(seconds)
    script = read(path, text, patch_plays=True)
    end_step()  # a timer is not to interrupt a message
    return script


def _play(
    script: LiveScript, tempo: float, beats: Fraction, cues: list[Cue], seconds: float, channel: HelperChannel
) -> None:
    performance = Performance(script, tempo)
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
