"""Zygote: a process with a heavy module imported, which forks, watches and ends the workers that need it.

The arena lists the requested workers. A worker that crashes, hangs or is blamed is killed and forked again; after three
failures within a minute it is quarantined until a retry is requested. An unresponsive program or device of a worker is
no failure: the worker is restarted each second while it is requested. A zygote has one thread and does not use a GPU
itself.
"""

import contextlib
import gc
import json
import os
import select
import signal
import time
from dataclasses import dataclass, field

from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.platform import PORTABLE, end_with_parent, hear, ring, start_time, thread_times
from antiphon.kernel.runtime.processes import forked
from antiphon.kernel.runtime.processes.child_process import block_signals, exit_cause, fork, unblock_signals
from antiphon.kernel.runtime.processes.children import ChildLane, spawn as spawn_child
from antiphon.kernel.runtime.processes.scheduling import StallTimeout, StallTimer
from antiphon.kernel.runtime.processes.spawning import prepare, start_function
from antiphon.kernel.workers import worker
from antiphon.kernel.workers.arena import Arena, Bells, SlotWord, State, WorkerEntry, WorkerWord

HANG = 110_000_000
"""Nanoseconds without an answer after which a running worker is killed."""
LOOK_MS = 20
"""Maximum milliseconds between two checks of the workers."""
SPARE_NS = 1_000_000_000
"""Age of a worker, in ns, from which the next one is prepared, so as not to disturb its first hops."""
QUARANTINE, WITHIN = 3, 60.0
"""Number of failures, and the interval in seconds, that quarantine a worker."""
IDLE_SECONDS = 20.0
"""Seconds that an unused worker keeps running, in case a patch needs it again."""
START_SECONDS = 20.0
"""Seconds within which a worker must be ready, counted by `StallTimeout`."""
_READY_SECONDS = START_SECONDS + PORTABLE * forked.START_SECONDS
"""The same, including the start of a fresh interpreter where the system does not fork."""
RETRY_SECONDS = 1.0
"""Least seconds between two starts of a worker whose program or device does not answer."""


@dataclass(slots=True)
class _Child:
    """A running worker. `still`: measures for how long it has had pending hops and has computed none."""

    pid: int
    hop_ns: int
    still: StallTimer = field(default_factory=lambda: StallTimer(LOOK_MS / 1000))
    stuck_ns: int = 0
    start: StallTimeout = field(default_factory=lambda: StallTimeout(_READY_SECONDS))
    killed: str = ""  # why it was killed, or ""
    away: bool = False  # it waited for what did not answer


class Zygote:
    """The parent of the workers of one kind."""

    def __init__(self, kind: str, arena: Arena, bells: Bells, imports: str = "", lifeline: int = -1) -> None:
        """Creates a zygote, which imports in `run`: `imports`, or "" for `module_of` its kind."""
        self._kind, self._arena, self._bells, self._lifeline = kind, arena, bells, lifeline
        self._bell = bells.zygotes[arena.place_of(kind)]
        self._children: dict[int, _Child] = {}
        self._failures: dict[int, list[float]] = {}  # by the entry's number, when its workers have failed
        self.module = imports or module_of(kind, arena)  # what workers import

    def run(self) -> None:
        """Imports, and watches the workers until SIGTERM, or until the other end of the lifeline is closed."""
        if PORTABLE:
            self.prepare_spare()
        else:
            worker.import_kind(self.module)
        gc.collect()
        resources.trim()
        gc.freeze()  # nor does a worker look for garbage among what it has from here
        ending: list[int] = []
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the end of a worker wakes the poll
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        unblock_signals()
        self._recover_workers()
        while not ending:
            poll = select.poll()
            for fd in (self._bell, read):
                poll.register(fd, select.POLLIN)
            if self._lifeline >= 0:
                poll.register(self._lifeline, select.POLLIN)
            for fd, _ in poll.poll(LOOK_MS if self._children else 1000):
                if fd == self._bell:
                    with contextlib.suppress(BlockingIOError):
                        hear(fd)
                elif fd == read:
                    os.read(read, 4096)
                elif fd == self._lifeline:
                    ending.append(1)
            self.look()
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            _end_group(child.pid)

    def _own_entries(self) -> list[WorkerEntry]:
        pids = []
        for entry in self._arena.entries:
            used = entry.words[WorkerWord.WANTED] or entry.words[WorkerWord.STATE]
            if used and entry.kind == self._kind:
                pids.append(entry)
        return pids

    def _recover_workers(self) -> None:
        """Kills workers that an ended zygote left, and marks its workers for a restart."""
        for entry in self._own_entries():
            if entry.words[WorkerWord.STATE] in (State.STARTING, State.RUNNING, State.RESTARTING, State.WAITING):
                pid = entry.words[WorkerWord.PID]
                if pid and start_time(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    _end_group(pid)
                entry.set_reason("ended with its parent process")
                entry.words[WorkerWord.STATE] = State.RESTARTING
                entry.words[WorkerWord.RESTARTS] += 1

    def look(self) -> None:
        """Checks all workers of this kind once, and starts those that are requested."""
        for entry in self._own_entries():
            child = self._children.get(entry.number)
            try:
                if child is not None:
                    self._watch(entry, child)
                else:
                    self._update_wanted_worker(entry)
            except OSError as error:  # no more processes or descriptors: the next look tries again
                entry.set_reason(f"cannot be started: {error.strerror}")

    def _update_wanted_worker(self, entry: WorkerEntry) -> None:
        words = entry.words
        if words[WorkerWord.RETRY] != words[WorkerWord.RETRIED]:
            words[WorkerWord.RETRIED] = words[WorkerWord.RETRY]
            self._failures.pop(entry.number, None)
            if words[WorkerWord.STATE] in (State.QUARANTINED, State.REFUSED):
                words[WorkerWord.STATE] = State.RESTARTING
        if not words[WorkerWord.WANTED]:
            self._failures.pop(entry.number, None)
            words[WorkerWord.STATE] = State.NONE
        elif words[WorkerWord.STATE] == State.WAITING:
            if time.monotonic_ns() - words[WorkerWord.STARTED_NS] > RETRY_SECONDS * 1e9 and entry.kind == self._kind:
                self._fork(entry)
        elif words[WorkerWord.STATE] in (State.NONE, State.RESTARTING):
            if words[WorkerWord.STATE] == State.NONE:
                words[WorkerWord.RESTARTS] = 0  # the count was that of another worker in this entry
            if entry.kind == self._kind:
                self._fork(entry)

    def _fork(self, entry: WorkerEntry) -> None:
        words = entry.words
        words[WorkerWord.GENERATION] += 1
        before = words[WorkerWord.STATE]
        if before != State.WAITING:  # that state lasts until it runs or fails
            words[WorkerWord.STATE] = State.STARTING
        words[WorkerWord.STARTED_NS] = time.monotonic_ns()
        words[WorkerWord.READY_NS] = 0
        spec, parent = entry.spec(), os.getpid()
        try:
            if PORTABLE:
                pid = start_function(worker.run_alone, self._arena, entry.number, self._bells, parent)
            else:
                pid = fork(lambda: self._become(entry, parent), f"worker {self._kind}")
        except OSError:
            words[WorkerWord.STATE] = State.WAITING if before == State.WAITING else State.RESTARTING
            raise
        words[WorkerWord.PID] = pid
        hop_ns = spec.hop * 1_000_000_000 // spec.rate
        self._children[entry.number] = _Child(pid, hop_ns)

    def prepare_spare(self) -> None:
        """Prepares the next worker, which imports `module` meanwhile."""
        with contextlib.suppress(OSError):  # the worker is started without
            prepare(worker.__name__, self.module)

    def _become(self, entry: WorkerEntry, parent: int) -> int:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        unblock_signals()
        if not end_with_parent(parent):
            return 1
        return worker.run(self._arena, entry.number, self._bells)

    def _watch(self, entry: WorkerEntry, child: _Child) -> None:
        words = entry.words
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            self._died(entry, child, status)
            return
        now = time.monotonic_ns()
        if words[WorkerWord.STATE] in (State.STARTING, State.WAITING):
            if words[WorkerWord.READY_NS]:
                words[WorkerWord.STATE] = State.RUNNING
                ring(self._bells.wake[entry.number])
            elif child.start.has_expired(child.pid):
                computed = sum(times.ran for times in thread_times(child.pid).values())
                child.away = computed < _READY_SECONDS / 2 * 1e9
                self._kill(child, f"was not ready within {_READY_SECONDS:g} s")
            return
        if PORTABLE and now - words[WorkerWord.READY_NS] > SPARE_NS:
            self.prepare_spare()
        if words[WorkerWord.BLAMED] == words[WorkerWord.GENERATION]:
            self._kill(child, "gave what cannot be played")
        elif words[WorkerWord.RETRY] != words[WorkerWord.RETRIED]:
            words[WorkerWord.RETRIED] = words[WorkerWord.RETRY]
            self._failures.pop(entry.number, None)
        elif not words[WorkerWord.WANTED]:
            if now - words[WorkerWord.LEFT_NS] > IDLE_SECONDS * 1e9:
                self._kill(child, "")
        else:
            before, done = child.stuck_ns, words[WorkerWord.DONE] + 1
            child.stuck_ns = child.still.look(child.pid, done if self._pending(entry) else 0)
            if child.stuck_ns and not before:
                # an engine that ended between posting and waking has left it asleep
                ring(self._bells.wake[entry.number])
            if child.stuck_ns > max(self._arena.hang_ns, 2 * child.hop_ns):
                self._kill(child, f"gave no answer for {child.stuck_ns / 1e9:.2f} s")

    def _pending(self, entry: WorkerEntry) -> bool:
        rows = entry.slots
        waiting = (
            (rows[:, SlotWord.OPEN] > 0)
            & (rows[:, SlotWord.BORN] == entry.words[WorkerWord.GENERATION])
            & (
                (rows[:, SlotWord.POSTED] > rows[:, SlotWord.CURSOR])
                | (rows[:, SlotWord.SEEN] != rows[:, SlotWord.EPOCH])
            )
        )
        return bool(waiting.any())

    def _kill(self, child: _Child, why: str) -> None:
        if not child.killed:
            child.killed = why or "not wanted"
            os.kill(child.pid, signal.SIGKILL)

    def _died(self, entry: WorkerEntry, child: _Child, status: int) -> None:
        words, code = entry.words, os.waitstatus_to_exitcode(status)
        _end_group(child.pid)
        del self._children[entry.number]
        if child.killed == "not wanted":
            self._failures.pop(entry.number, None)  # the next worker in this entry has not failed yet
            entry.set_reason("")
            words[WorkerWord.DIED_NS], words[WorkerWord.PID] = time.monotonic_ns(), 0
            # last: NONE frees the entry
            words[WorkerWord.STATE] = State.RESTARTING if words[WorkerWord.WANTED] else State.NONE
            return
        away = child.away or (code == worker.RESTART_STATUS and not child.killed)
        if child.killed:
            entry.set_reason(child.killed)
        elif code not in (worker.FAULT, worker.REFUSED, worker.RESTART_STATUS):
            entry.set_reason(f"was {exit_cause(code)}" if code < 0 else f"ended with {exit_cause(code)}")
        # who sees no process reads why, and that none runs
        words[WorkerWord.DIED_NS] = time.monotonic_ns()
        words[WorkerWord.STATE] = State.WAITING if away else State.RESTARTING
        words[WorkerWord.RESTARTS] += not away
        words[WorkerWord.PID] = 0
        if away:
            self._update_wanted_worker(entry)
            return
        if code == worker.REFUSED:
            words[WorkerWord.STATE] = State.REFUSED
            return
        now = time.monotonic()
        failures = [t for t in self._failures.get(entry.number, []) if now - t < WITHIN] + [now]
        self._failures[entry.number] = failures
        if len(failures) >= QUARANTINE:
            words[WorkerWord.STATE] = State.QUARANTINED
        else:
            self._update_wanted_worker(entry)


def _end_group(pid: int) -> None:
    """Ends the processes that an ended worker started, where the system does not do so."""
    if PORTABLE:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def start(kind: str, arena: Arena, bells: Bells, imports: str = "", lifeline: int = -1) -> int:
    """Starts a zygote for a server; returns its pid.

    If the server crashes it keeps running, until the next server ends it. It imports `imports` if no worker of its kind
    is requested yet; closing the pipe `lifeline` ends it.
    """
    fds = bells.fds()
    arguments = {"kind": kind, "arena": arena.fd, "bells": fds, "lifeline": lifeline, "imports": imports}
    held = (arena.fd, *fds, *((lifeline,) if lifeline >= 0 else ()))
    lane = ChildLane(output=2, errors=None, fds=held)
    with block_signals():  # until `run` ignores Ctrl-C, which reaches it too
        return spawn_child(f"{__name__}:main", json.dumps(arguments), lane=lane, bound=False, apart=False).pid


def module_of(kind: str, arena: Arena) -> str:
    """Module imported by a zygote before it forks: the first `imports` of workers of its kind, else the kind."""
    wanted = (entry.spec().imports for entry in arena.entries if entry.kind == kind)
    return next(filter(None, wanted), kind)


def main(argument: str) -> None:
    """Runs a zygote. `argument` is the JSON object that `start` writes."""
    arguments = json.loads(argument)
    arena, bells = Arena(arguments["arena"]), Bells.of(tuple(arguments["bells"]))
    Zygote(arguments["kind"], arena, bells, arguments["imports"], arguments["lifeline"]).run()
