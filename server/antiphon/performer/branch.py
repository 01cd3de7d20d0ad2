"""Player's end of a performing process: requests, answers, termination."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Any

from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.platform import adopt_orphans
from antiphon.kernel.runtime.processes.children import Child, ChildLane, environment, spawn
from antiphon.kernel.runtime.processes.helper_channel import MessageBuffer, pack
from antiphon.kernel.runtime.processes.scheduling import StallTimeout
from antiphon.performer.child import SLOT, SLOTS
from antiphon.performer.limits import TIMEOUT_SECONDS, cpu_times, is_runnable

_GRACE = 2.0
"""Factor of the patience before a process is killed: its own timers end it before."""
_WALL_CLOCK_FACTOR = 10.0
"""Factor of the patience in wall-clock time, on systems without process CPU times."""
_MAX_POLLS = 5
"""Polls of a waiting process before it counts as blocked."""
_FORK_SECONDS = 5.0
"""Timeouts in seconds of a fork and, for `StallTimeout`, of its first message: both may wait for a processor."""
_LAST_LOOKS = 20
"""Timeout in milliseconds for a process with a closed socket to end."""


class Branch:
    """Forked process that performs a script from one beat on; answers requests in order."""

    def __init__(self, sock: socket.socket, processes: BranchProcesses, slot: int) -> None:
        self._sock, self._processes, self.slot = sock, processes, slot
        sock.setblocking(False)
        self._out: deque[tuple[bytes, list[int]]] = deque()
        self._answers = MessageBuffer()
        self._waiting: deque[float] = deque()
        self._begun: tuple[float, tuple[float, float] | None] | None = None
        self._start = StallTimeout(_FORK_SECONDS)
        self.parent: Branch | None = None
        self._ran = self._still = 0.0
        self._looks = 0
        self._called = (0, 0)  # number and line of the call that is watched
        self.pid = 0  # 0 until it has said so
        self.asked = Fraction(0)  # the beat up to which it was asked for events
        self.fresh = True

    def fileno(self) -> int:
        """Descriptor for `select`."""
        return self._sock.fileno()

    @property
    def idle(self) -> bool:
        """Whether no request is pending."""
        return not self._waiting

    def ask(self, do: str, **values: Any) -> None:
        """Sends a request; see `antiphon.performer.child`."""
        if do in ("until", "read"):
            self._waiting.append(float(values.get("patience", TIMEOUT_SECONDS)))
        self._put(pack({"do": do, **values}), [])

    def request_until(self, beat: Fraction, *, coming: bool = False) -> None:
        """Requests the events before a beat. `coming`: whether to include the tracks' events after it."""
        self.asked = beat
        self.ask("until", beat=beat.as_integer_ratio(), **({"coming": True} if coming else {}))

    def fork(self) -> Branch:
        """Requests a fork of the process, after the pending requests."""
        ours, theirs = socket.socketpair()
        copy = self._processes.add(ours)
        copy.asked, copy.parent = self.asked, self
        self._waiting.append(_FORK_SECONDS)
        self._put(pack({"do": "fork", "slot": copy.slot}), [theirs.detach()])
        return copy

    def answers(self) -> tuple[list[dict[str, Any]], bool]:
        """The answers since the last call, and whether the process has ended."""
        self._flush()
        ended = False
        while not ended:
            try:
                part = self._sock.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            self._answers.put(part)
            ended = not part
        try:
            answers = list(iter(self._answers.take, None))
        except ValueError:
            answers, ended = [], True
        for answer in answers:
            if answer["did"] == "begin":
                self.pid = answer["pid"]
            elif self._waiting:
                self._waiting.popleft()
                self._begun = None
        return answers, ended

    def is_overdue(self) -> bool:
        """Whether a step has run, or waited for something outside, longer than allowed."""
        now = time.monotonic()
        if not self.pid:
            if self.parent is None or not self.parent.pid:
                self._start = StallTimeout(_FORK_SECONDS)
                return False
            return self._start.has_expired(self.parent.pid)
        if not self._waiting:
            return False
        most, used = _GRACE * self._waiting[0], cpu_times(self.pid)
        called = self.current_call
        if self._begun is None or called != self._called:
            self._called = called
            self._begun, self._ran, self._looks, self._still = (now, used), 0.0, 0, now
        then, before = self._begun
        if used is None or before is None:
            return now - then > _WALL_CLOCK_FACTOR * most
        ran = used[0] - before[0]
        if ran != self._ran or is_runnable(self.pid):
            self._ran, self._looks, self._still = ran, 0, now
        # looks are counted, too: this process itself may not have run, and an answer may have come meanwhile
        self._looks += 1
        return ran > most or (self._looks >= _MAX_POLLS and now - self._still > most)

    @property
    def current_call(self) -> tuple[int, int]:
        """Number of the current call into the script's code, see `Performance.before`, and its loop's or track's line.

        Both are 0 between calls.
        """
        number, line = SLOT.unpack_from(self._processes.runs, self.slot * SLOT.size)
        return number, line

    def end(self, *, ended: bool = False) -> int | None:
        """Ends the process; returns the exit status or negative signal if the process had `ended` itself, if known."""
        for _, descriptors in self._out:
            for descriptor in descriptors:
                os.close(descriptor)
        self._out.clear()
        return self._processes.remove(self, ended)

    def leave(self) -> None:
        """Closes the socket, which ends the process."""
        self._sock.close()

    def _put(self, data: bytes, descriptors: list[int]) -> None:
        self._out.append((data, descriptors))
        self._flush()

    def _flush(self) -> None:
        while self._out:
            data, descriptors = self._out[0]
            try:
                sent = socket.send_fds(self._sock, [data], descriptors) if descriptors else self._sock.send(data)
            except OSError:
                return  # full, or ended, which `answers` reports
            for descriptor in descriptors:
                os.close(descriptor)
            if sent < len(data):
                self._out[0] = data[sent:], []
                return
            self._out.popleft()


class BranchProcesses:
    """All performing processes: starts the first, which only forks, and reaps its forks."""

    def __init__(self) -> None:
        adopt_orphans()
        self._free = list(range(SLOTS))
        self._ends: dict[int, int] = {}
        self._unnamed: list[Branch] = []
        with tempfile.TemporaryFile() as file:
            file.truncate(SLOTS * SLOT.size)
            self.runs = mmap.mmap(file.fileno(), SLOTS * SLOT.size)
            ours, theirs = socket.socketpair()
            fds = (theirs.fileno(), file.fileno())
            lane = ChildLane(output=subprocess.PIPE, errors=subprocess.STDOUT, fds=fds)
            words, env = map(str, fds), environment(PYTHONHASHSEED="0")
            # the copies are of its group, by which their ends are found; those of other processes are not
            self._process = spawn("antiphon.performer.child:main", *words, lane=lane, bound=False, env=env)
            theirs.close()
        assert self._process.output is not None
        self.output: IO[bytes] = self._process.output
        os.set_blocking(self.output.fileno(), False)
        self.first = self.add(ours)

    def add(self, sock: socket.socket) -> Branch:
        """Process connected to a socket. Raises `EngineError` if there are too many."""
        if not self._free:
            raise EngineError(f"over {SLOTS} processes perform the script; end it and start it again")
        slot = self._free.pop(0)
        SLOT.pack_into(self.runs, slot * SLOT.size, 0, 0)  # another process had it
        return Branch(sock, self, slot)

    def remove(self, branch: Branch, ended: bool) -> int | None:
        """Removes a process; see `Branch.end`."""
        self._free.append(branch.slot)
        if not branch.pid:
            # one that is replaced before it has said who it is: it is ended when it does
            if ended:
                branch.leave()
            else:
                self._unnamed.append(branch)
            return None
        branch.leave()
        if not ended:
            self._kill(branch.pid)
            return None
        for _ in range(_LAST_LOOKS):  # its sockets are closed a little before it has ended
            self._reap()
            if branch.pid in self._ends:
                return self._ends.pop(branch.pid)
            time.sleep(0.001)
        return None

    def collect(self) -> None:
        """Reaps ended processes."""
        self._reap()
        for branch in list(self._unnamed):
            _, gone = branch.answers()
            if branch.pid:
                self._kill(branch.pid)
            if branch.pid or gone:
                self._unnamed.remove(branch)
                branch.leave()

    def _reap(self) -> None:
        """Reaps forks, also those that ended before they identified themselves; `close` reaps the first process."""
        for pid, status in _reap_group(self._process):
            self._ends[pid] = status
            while len(self._ends) > SLOTS:  # those of copies that were ended from here are not asked for
                del self._ends[next(iter(self._ends))]
        reap_closed()

    def _kill(self, pid: int) -> None:
        if pid not in self._ends:  # else the number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends all processes."""
        for branch in (self.first, *self._unnamed):
            branch.leave()
        self._unnamed.clear()
        self._process.close()
        _closed.append(self._process)
        self.collect()


_closed: list[Child] = []
"""First processes of closed groups, of which copies may still have to be reaped."""


def reap_closed() -> None:
    """Reaps copies of closed groups, which end a little after them."""
    for first in list(_closed):
        for _ in _reap_group(first):
            pass
        if not _has_members(first.pid):
            _closed.remove(first)


def _reap_group(first: Child) -> Iterator[tuple[int, int]]:
    """Reaps the ended copies of a group and yields their numbers and statuses; its first process reaps itself."""
    if not hasattr(os, "waitid"):  # macOS, where copies are no children of this process
        return
    with contextlib.suppress(ChildProcessError):  # there is none
        while ended := os.waitid(os.P_PGID, first.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == first.pid:
                if not first.ended:
                    return
                continue  # the next call finds those that it hid
            _, status = os.waitpid(ended.si_pid, 0)
            yield ended.si_pid, os.waitstatus_to_exitcode(status)


def _has_members(group: int) -> bool:
    """Whether this process has children in a group, ended or not."""
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def exit_cause(status: int | None) -> str:
    """Reason of a process's end, from its exit status or negative signal, as far as known."""
    if status == -signal.SIGVTALRM:
        return f"it runs without end, over {TIMEOUT_SECONDS:g} s in one call, and was stopped"
    if status is not None and status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process has ended{'' if status is None else f', with status {status}'}; a script plays to its end"
