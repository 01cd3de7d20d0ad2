"""A process that performs a live script, with the arguments SOCKET and RUNS, both numbers of descriptors.

It answers messages on the socket, and forks: a fork continues from the same beat with the same state, so another
version of the script is read in a fork, and a failing fork affects no other. `RUNS` is a file in memory to which each
fork writes the number of its current call of the script's code, and the line of its loop or track.

Its requests are `{"do": …}`: fork (with a descriptor, the fork's socket), read, start, swap, until, skip, cue, slide,
strike, quiet. It answers fork, read and until. The script's output goes to standard output.
"""

import contextlib
import gc
import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NoReturn

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.processes.helper_channel import MessageBuffer, pack
from antiphon.live.faults import fault, fault_in_script, refuse_forks, refuse_sleep
from antiphon.live.listening import cue_value
from antiphon.live.performance import Foreseen, Performance
from antiphon.live.reading import read
from antiphon.live.records import OUTSIDE, LiveEvent, ScriptError
from antiphon.live.stage import LiveScript, LiveTrack
from antiphon.performer.limits import TIMEOUT_SECONDS, StepLimits

COMING, COMING_SECONDS = Fraction(12), 0.02
"""Look-ahead of tracks in beats, and its time limit."""
SLOTS, SLOT = 512, struct.Struct("qq")
"""Number of forks with a slot in `RUNS`, and the fields of a slot."""
_CHUNK = 1 << 16
_LONG = 0.02
"""CPU time in seconds of calls after which the next one has its own limits: setting them takes time, too."""
_BEAT_SECONDS = 4.0
"""CPU time in seconds per beat, shared by all calls of a request, for a quarter of a beat at least."""
_COSTLY = 0.001
"""Minimum CPU time in seconds of a loop or track that is reported."""


class ScriptChild:
    """The process: `serve` answers until its socket is closed."""

    def __init__(self, sock: socket.socket, runs: mmap.mmap) -> None:
        self._sock, self._runs, self._slot = sock, runs, 0
        self._requests = MessageBuffer()
        self._descriptors: list[int] = []
        self._script: LiveScript | None = None
        self._performance: Performance | None = None
        self._events: list[LiveEvent] = []
        self._faults: list[dict[str, Any]] = []
        self._coming: tuple[float, list[Foreseen]] = 0.0, []
        self._costs: dict[tuple[str, int], float] = {}  # CPU time in seconds of a loop or track, by name and line
        self._calls: dict[tuple[str, int], int] = {}  # number of the last call of each in the request
        self._left = 0.0  # CPU time in seconds for the rest of the request
        self._runs_one: tuple[tuple[str, int], float] | None = None  # the one that runs, and the time it began at
        self._limited = 0.0  # CPU time at which the limits were set
        self._path = ""
        self._over = False
        self._forks = False
        self._limits = StepLimits()
        self._limits.over = self._mark_overrun
        sys.addaudithook(self._refuse_script_forks)

    def begin(self) -> None:
        """Reports that the process has started."""
        self._say({"did": "begin", "pid": os.getpid()})

    def serve(self) -> NoReturn:
        """Answers requests until the socket closes; does not return."""
        try:
            while (asked := self._receive()) is not None:
                self._answer(asked)
        except OSError:
            pass  # the player has ended
        os._exit(0)

    def _receive(self) -> dict[str, Any] | None:
        """Next request, with its descriptors in `_descriptors`; None once the socket is closed."""
        while (asked := self._requests.take()) is None:
            part, descriptors, _, _ = socket.recv_fds(self._sock, _CHUNK, 4)
            if not part:
                return None
            self._descriptors += descriptors
            self._requests.put(part)
        return asked

    def _answer(self, asked: dict[str, Any]) -> None:
        if asked["do"] == "fork":
            self._fork(asked["slot"])
            return
        self._limit(asked.get("patience", TIMEOUT_SECONDS))
        try:
            self._step(asked)
        except BaseException as error:
            self._limits.end()
            self._dead(fault_in_script(self._path, error))
        self._limits.end()
        if asked["do"] in ("until", "read"):
            self._say(self._said(asked))

    def _step(self, asked: dict[str, Any]) -> None:
        performance = self._performance
        match asked["do"]:
            case "read":
                self._path = asked["path"]
                self._read(asked["path"], asked["text"], asked.get("version", 0))
            case "start":
                assert self._script is not None
                random.seed(0)  # the same script plays the same notes, by whatever chance it takes
                self._performance = Performance(
                    self._script, asked["tempo"], at=Fraction(*asked["beat"]), report=self._report
                )
                self._performance.before = self._call
            case "quiet":
                sys.stdout = open(os.devnull, "w") if asked["on"] else sys.__stdout__  # noqa: SIM115
            case _ if performance is None:
                raise UsageError("nothing is performed yet")
            case "swap":
                assert self._script is not None
                performance.swap(self._script, Fraction(*asked["beat"]))
            case "until":
                if asked.get("coming"):
                    coming = performance.coming(COMING, _within(COMING_SECONDS))
                    self._coming = float(performance.beat), coming
                until = Fraction(*asked["beat"])
                self._costs, self._calls = {}, {}
                self._left = _BEAT_SECONDS * max(0.25, float(until - performance.beat))
                self._events = performance.until(until)
                self._count_cpu_time()
                SLOT.pack_into(self._runs, self._slot * SLOT.size, 0, 0)  # no call has a fault that comes now
            case "skip":
                performance.skip(Fraction(*asked["beat"]), asked["names"])
            case "slide":
                for script in (self._script, performance.script):
                    if script is not None:
                        script.slide(asked["version"], asked["place"], asked["value"])
            case "cue":
                performance.cue(asked["name"], cue_value(asked["name"], asked["value"]))
            case "strike":
                said = asked["fault"]
                error = ScriptError(said, asked["picture"]) if asked["located"] else UsageError(said)
                performance.strike(asked["run"], error)

    def _said(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["do"] == "read":
            script = self._script
            assert script is not None
            return {
                "did": "read",
                "patch": script.patch,
                "bar": script.bar.as_integer_ratio(),
                "levels": [list(level) for level in script.levels],
                "line": script.patch_line,
                "listens": list(script.listens.items()),
                "tracks": [(one.name, self._node_of(one)) for one in script.tracks.values() if not one.sets],
                "uses": _uses(script),
                "loops": [(one.name, one.on) for one in script.loops.values()],
            }
        performance = self._performance
        assert performance is not None
        faults, self._faults = self._faults, []
        return {
            "did": "until",
            "beat": performance.beat.as_integer_ratio(),
            "faults": faults,
            "costs": [[*one, spent] for one, spent in self._costs.items() if spent >= _COSTLY],
            "awaited": sorted(performance.awaited),
            "sounding": [list(key) for key in performance.sounding],
            "events": [
                [*e.beat.as_integer_ratio(), e.address, list(e.args), e.line, _event_highlight(e), e.source]
                for e in self._events
            ],
            "coming": self._coming if asked.get("coming") else None,
        }

    def _node_of(self, track: LiveTrack) -> str:
        return track.on if self._performance is None else self._performance.node_of(track)

    def _read(self, path: str, text: str, version: int) -> None:
        folder = os.path.dirname(os.path.abspath(path))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        for name, module in list(sys.modules.items()):  # what stands beside the script may have changed with it
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and os.path.dirname(os.path.abspath(file)) == folder:
                del sys.modules[name]
        self._script = read(path, text, version=version)

    def _report(self, error: ScriptError) -> None:
        if self._over:
            self._dead(error)
        self._faults.append({"fault": str(error), "picture": error.picture, "before": error.before})

    def _dead(self, error: ScriptError) -> NoReturn:
        """Reports a fatal error of this process, and ends it."""
        with contextlib.suppress(OSError):
            self._say({"did": "dead", "fault": str(error), "picture": error.picture, "over": self._over})
        os._exit(1)

    def _mark_overrun(self) -> None:
        self._over = True

    def _call(self, number: int, name: str, line: int) -> None:
        self._count_cpu_time((name, line))
        if self._left < 0.0:
            self._end_after_overrun()
        SLOT.pack_into(self._runs, self._slot * SLOT.size, number, line)
        self._calls[name, line] = number

    def _end_after_overrun(self) -> NoReturn:
        """Ends this process because of the loop or track that took most of a request's time, at its last call."""
        assert self._script is not None
        slowest = max(self._costs, key=lambda one: self._costs[one])
        SLOT.pack_into(self._runs, self._slot * SLOT.size, self._calls[slowest], slowest[1])
        self._mark_overrun()
        cause = UsageError(f"loops and tracks take over {_BEAT_SECONDS:g} s for a beat; make them lighter")
        self._dead(fault(self._script, cause, slowest[1]))

    def _limit(self, patience: float = TIMEOUT_SECONDS) -> None:
        """Sets the limits anew."""
        self._limits.begin(patience)
        self._limited = time.thread_time()

    def _count_cpu_time(self, begins: tuple[str, int] | None = None) -> None:
        """Counts the CPU time of the loop or track that has run, before the next begins."""
        now = time.thread_time()
        if self._runs_one is not None:
            one, since = self._runs_one
            self._costs[one] = self._costs.get(one, 0.0) + now - since
            self._left -= now - since
            if begins is not None and now - self._limited > _LONG:
                self._limit()
        self._runs_one = None if begins is None else (begins, now)

    def _say(self, message: dict[str, Any]) -> None:
        self._sock.sendall(pack(message))

    def _refuse_script_forks(self, event: str, _arguments: tuple[object, ...]) -> None:
        if not self._forks:
            refuse_forks(event)

    def _fork(self, slot: int) -> None:
        sock = socket.socket(fileno=self._descriptors.pop(0))
        self._forks = True
        between = -1
        with contextlib.suppress(OSError):  # without memory for it the socket closes, which says so
            between = os.fork()
        if between == 0 and self._forked():
            self._forks = False
            self._sock.close()
            for descriptor in self._descriptors:
                os.close(descriptor)
            self._sock, self._slot, self._requests, self._descriptors = sock, slot, MessageBuffer(), []
            self.begin()
            return
        self._forks = False
        sock.close()
        if between > 0:
            os.waitpid(between, 0)
        self._say({"did": "fork"})

    def _forked(self) -> bool:
        try:
            if os.fork() == 0:
                return True
        except OSError:
            pass
        os._exit(0)


def _within(seconds: float) -> Callable[[], bool]:
    """Returns a predicate: whether this thread has run for `seconds` since now."""
    limit = time.thread_time() + seconds
    return lambda: time.thread_time() > limit


def _uses(script: LiveScript) -> list[tuple[str, str, int]]:
    """Nodes and parameters of its patch that a script names before it plays: node, parameter or "", and line."""
    named: list[tuple[str, str, int]] = []
    for track in script.tracks.values():
        named.append((track.on, track.name.removeprefix(f"{track.on}.") if track.sets else "", track.line))
    named += [(one.on, "", one.line) for one in script.loops.values()]
    for event in script.settings:
        match event.address.split("/"):
            case ["", "node", node, param]:
                named.append((node, "" if param in ("reset", "play") else param, event.line))
    return [one for one in named if one[0] and not one[0].startswith(("/", OUTSIDE))]


def _event_highlight(event: LiveEvent) -> list[Any] | None:
    """Length in beats and source positions of an event's highlight."""
    return None if event.mark is None else [float(event.mark.length), event.mark.places]


def main(asking: str, counting: str) -> None:
    """Runs the process; the arguments are the descriptors of its socket and of `RUNS`, in decimal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the player decides
    sock = socket.socket(fileno=int(asking))
    runs = mmap.mmap(int(counting), SLOTS * SLOT.size)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    refuse_sleep()
    gc.freeze()  # the collector would write to pages that the copies share
    child = ScriptChild(sock, runs)
    child.begin()
    child.serve()
