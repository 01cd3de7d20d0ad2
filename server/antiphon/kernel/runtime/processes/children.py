"""Children of this process: a function or a program in a separate process, with limits, and a lane of messages."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from antiphon.kernel.runtime.platform import address_space, most_open_files, private_memory
from antiphon.kernel.runtime.processes import child_process
from antiphon.kernel.runtime.processes.helper_channel import (
    PIECE,
    Message,
    MessageBuffer,
    read_message,
    write_message,
    write_parts,
)
from antiphon.kernel.runtime.processes.scheduling import LOOK_SECONDS, StallTimeout

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of a process that computes with one thread, because other processes play meanwhile."""
TERM_SECONDS = 2.0
"""Seconds until a process must have ended after SIGTERM."""
KILL_SECONDS = 10.0
"""Seconds until a killed process has ended, on a busy machine too; one that waits for a hanging disk takes longer."""
CHILD_FAULTS = (OSError, EOFError, ValueError)
"""Exceptions of `Child.send`, `receive` and `ask`: the child ended, was silent or sent an invalid answer."""
_SHORT, _LONG = 0.0005, 0.02
"""Seconds between two polls for the end of a child, at first and at most."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """Limits of a child, which hold before its function is called, or its program begins; 0 for none.

    `nice`: increment of its nice value. `data`, `address`: bytes of private memory and of address space, for a copy of
    this process in addition to those copied. `cpu`: seconds of CPU time. `file`: bytes of each file that it writes; -1
    for no limit. A child with limits leaves no core dump.
    """

    nice: int = 0
    data: int = 0
    address: int = 0
    cpu: int = 0
    file: int = -1

    def limit_arguments(self) -> dict[str, int]:
        """Arguments for `limit_resources`."""
        found = {kind: most for kind, most in asdict(self).items() if kind != "nice" and most > -(kind == "file")}
        return {**found, "core": 0} if found else {}


@dataclass(frozen=True, slots=True)
class ChildLane:
    """Streams and descriptors that connect a child with this process.

    `input`, `output`, `errors`: its standard streams as for `Popen`, None for those of this process; with pipes for
    both of the first, requests and answers are messages. `fds`: further descriptors that it inherits; None for all that
    are inheritable.
    """

    input: int | None = subprocess.DEVNULL
    output: int | None = subprocess.DEVNULL
    errors: int | None = subprocess.DEVNULL
    fds: tuple[int, ...] | None = ()

    @property
    def messages(self) -> bool:
        """Whether requests and answers are messages."""
        return self.input == self.output == subprocess.PIPE


SILENT, MESSAGES = ChildLane(), ChildLane(subprocess.PIPE, subprocess.PIPE)


def environment(**more: str) -> dict[str, str]:
    """Environment of a child that can import the same modules as this process. `more`: variables in addition."""
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


_forks: list[None] = []
"""One for each fork between the first process and this one."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(None))


class Child:
    """A process that this one started, by `spawn` or by a fork; a forked one is given by its pid.

    In a copy of this process it has ended: it is the other's to end.

    Attributes:
        input, output, errors: The pipes of its lane, None without.
    """

    input: IO[bytes] | None = None
    output: IO[bytes] | None = None
    errors: IO[bytes] | None = None

    def __init__(self, name: str, pid: int, *, leads: bool = False) -> None:
        """Adopts a process. `leads`: whether it leads a session, so that its own children are killed with it."""
        self.name, self.pid, self._leads, self._forks = name, pid, leads, len(_forks)
        self._status: int | None = None
        self._waiting = threading.Lock()
        self._answers = MessageBuffer()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def status(self) -> int | None:
        """Its exit status once it has ended, negative for a signal; None while it runs."""
        if self._forks != len(_forks):
            return 0
        with self._waiting:
            if self._status is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # something else has waited for it
                    self._status = 0
                else:
                    self._status = os.waitstatus_to_exitcode(status) if pid else None
                    if pid and self._leads:  # at once: later the number may be another's
                        _kill_group(pid)
            return self._status

    @property
    def ended(self) -> bool:
        """Whether the server has ended."""
        return self.status is not None

    def wait(self, seconds: float = math.inf) -> int | None:
        """Waits for its end, at most `seconds`. Returns its `status`."""
        until, pause = time.monotonic() + seconds, _SHORT
        while not self.ended and time.monotonic() < until:
            time.sleep(pause)
            pause = min(_LONG, 2 * pause)
        return self._status

    def kill(self) -> None:
        """Kills the child and, where it leads a group, the processes that it started; a pending `receive` raises
        `EOFError`.
        """
        self._send_signal(signal.SIGKILL)

    def end(self, more: float = 0.0) -> None:
        """Sends SIGTERM, and SIGKILL `TERM_SECONDS` and `more` later; returns when it has ended, or after both.

        SIGTERM is sent only to the child, which ends its own children in its own order.
        """
        self._send_signal(signal.SIGTERM)
        self._send_signal(signal.SIGCONT)  # a stopped process takes no SIGTERM
        self.wait(TERM_SECONDS + more)
        self.close()

    def close(self) -> int | None:
        """Kills it and closes its lane. It may be called twice. Returns its `status`."""
        self.kill()
        status = self.wait(KILL_SECONDS)
        self._close_lane()  # last: another thread may wait for it, and its numbers would be those of other files
        return status

    def forget(self) -> None:
        """Leaves the child to the parent; called in a forked child of this process."""
        self._status = 0
        self._close_lane()

    def _send_signal(self, number: signal.Signals) -> None:
        if self._forks != len(_forks):
            return
        with self._waiting:
            if self._status is not None:  # until it is waited for, its number is no other's
                return
            if self._leads and number == signal.SIGKILL:
                _kill_group(self.pid)
            with contextlib.suppress(ProcessLookupError):  # of a group alone, where it does not lead yet
                os.kill(self.pid, number)

    def _close_lane(self) -> None:
        for pipe in (self.input, self.output, self.errors):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def send(self, message: Message, *raw: Any) -> None:
        """Sends a request. Waits while the pipe is full. Raises OSError: it has ended."""
        assert self.input is not None
        write_message(self.input.fileno(), message, *raw)

    def feed(self, data: bytes) -> None:
        """Sends bytes where the input is not messages. Waits while the pipe is full. Raises OSError: it has ended."""
        assert self.input is not None
        write_parts(self.input.fileno(), [memoryview(data)])

    def finish(self) -> None:
        """Closes its input: no request or data follows."""
        assert self.input is not None
        self.input.close()

    def receive(self, most: int = 0, silence: float | None = None) -> tuple[Message, bytearray]:
        """Receives the next answer, its JSON object and raw bytes, as `read_message` does, within `silence` seconds."""
        assert self.output is not None
        return read_message(self.output.fileno(), most, silence, self.pid)

    def ask(self, message: Message, most: int = 0, silence: float | None = None) -> tuple[Message, bytearray]:
        """Sends a request, and receives its answer."""
        self.send(message)
        return self.receive(most, silence)

    async def await_answer(self, seconds: float | None) -> Message:
        """Awaits the next answer, one without raw bytes, like `receive`, while the event loop runs."""
        assert self.output is not None
        patience = StallTimeout(math.inf if seconds is None else seconds)
        while (message := self._answers.take()) is None:
            if await readable(self.output.fileno(), None if seconds is None else LOOK_SECONDS):
                piece = os.read(self.output.fileno(), PIECE)
                if not piece:
                    raise EOFError("it closed its end")
                self._answers.put(piece)
            elif patience.has_expired(self.pid):
                raise TimeoutError
        return message


def _kill_group(leader: int) -> None:
    """Kills the processes of a group, if there are any: macOS refuses this for a group that has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def spawn(
    function: str | Sequence[str],
    *words: str,
    limits: ChildLimits = ChildLimits(),
    lane: ChildLane = MESSAGES,
    bound: bool = True,
    apart: bool = True,
    before: Callable[[], object] | None = None,
    env: dict[str, str] | None = None,
) -> Child:
    """Starts a process.

    Args:
        function: "module:function", called with a `HelperChannel` where the lane has messages, and with `words`;
            "module", which is run as a program; or the command line of another program, which has no limits.
        limits: Its limits.
        lane: Its connection with this process.
        bound: Whether it is killed when the thread that starts it ends, however that ends.
        apart: Whether it leads a session of its own: Ctrl-C does not reach it, and what it starts ends with it.
        before: Called in the child before a program is executed.
        env: Its environment; by default that of `environment`, and of another program this process's.

    Raises OSError: the system allows no process, or has no such program.
    """
    if isinstance(function, str):
        head = {"parent": os.getpid() if bound else 0, "nice": limits.nice, "most": limits.limit_arguments()}
        head["lane"] = lane.messages
        usual = lane.messages and lane.errors == subprocess.DEVNULL and env is None and apart and before is None
        if usual and child_process.may_be_copied():
            return _fork_child(head, function, words, lane)
        main = "antiphon.kernel.runtime.processes.child_main"
        # the current folder is no place to import from
        line = [sys.executable, "-P", "-m", main, json.dumps(head), function, *words]
        env = environment() if env is None else env
    else:
        line = [*function, *words]
    process = subprocess.Popen(
        line,
        stdin=lane.input,
        stdout=lane.output,
        stderr=lane.errors,
        pass_fds=lane.fds or (),
        close_fds=lane.fds is not None,
        bufsize=0,
        start_new_session=apart,
        preexec_fn=before,
        env=env,
    )
    process.returncode = 0  # its end is waited for by the pid
    child = Child(line[0], process.pid, leads=apart)
    child.input, child.output, child.errors = process.stdin, process.stdout, process.stderr
    return child


def _fork_child(head: dict[str, Any], function: str, words: Sequence[str], lane: ChildLane) -> Child:
    """Does what `spawn` does, by a fork. The child's standard error is discarded."""
    from antiphon.kernel.runtime.processes.child_main import main

    (asked, asking), (answered, answering) = os.pipe(), os.pipe()
    # of what it takes beyond what is copied, which may be a large model
    held = {"address": address_space(), "data": private_memory()}
    head = {**head, "most": {kind: most + held.get(kind, 0) for kind, most in head["most"].items()}}

    def become() -> None:
        os.setsid()
        os.environ.update(environment())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        child_process.unblock_signals()
        for stream, end in enumerate((asked, answering, os.open(os.devnull, os.O_RDWR))):
            os.dup2(end, stream)
        kept = (2, *sorted(lane.fds or ()), most_open_files())
        for one, other in itertools.pairwise(kept):
            os.closerange(one + 1, other)
        main(json.dumps(head), function, *words)

    try:
        child = Child(function, child_process.fork(become, function.partition(":")[0]), leads=True)
    except OSError:
        os.close(asking)
        os.close(answered)
        raise
    finally:
        os.close(asked)
        os.close(answering)
    child.input, child.output = os.fdopen(asking, "wb", 0), os.fdopen(answered, "rb", 0)
    return child


async def readable(fd: int, seconds: float | None) -> bool:
    """Waits for something to read, or the end; False after `seconds` without."""
    import asyncio

    loop = asyncio.get_running_loop()
    come = asyncio.Event()
    loop.add_reader(fd, come.set)
    try:
        await asyncio.wait_for(come.wait(), seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True
