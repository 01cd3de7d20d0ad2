"""`python -m antiphon`, forked from a process that has imported it already: a third of the processor time of a start.

As `subprocess` has it: `Forked` for `Popen`, `run` for `run`. What cannot be forked is executed: anything else than
`python -m antiphon`, an environment that an interpreter reads when it starts, descriptors handed over, and what a test
marked `executed` starts. `executed`, the mark or the context, is for what measures a start, its memory or its
descriptors, or reads the process list, where a fork shows the template's command line and environment.
"""

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

COMMAND = [sys.executable, "-m", "antiphon"]
TEMPLATE = Path(__file__).with_name("template.py")
AT_START = ("PYTHON", "LANG", "LC_", "OPENBLAS", "OMP", "MKL", "LD_")
"""How variables begin that an interpreter or a library reads only when it starts."""
everything = False
"""Whether everything is executed; `conftest.py` sets it for each test, `executed` for what is inside."""


@contextlib.contextmanager
def executed() -> Iterator[None]:
    """Within this context nothing is forked."""
    with mock.patch.object(sys.modules[__name__], "everything", True):
        yield


class Forked(subprocess.Popen[Any]):
    """`Popen` that forks what can be forked. Its other methods are those of `Popen`, which knows how a process is made
    and waited for only in the three that are here.

    Attributes:
        seconds, resident: Of one that has ended: the processor time of it and of what it waited for, and the bytes that
            were resident at most; 0 for one that was executed, to which the kernel counts what its parent had.
    """

    seconds, resident = 0.0, 0
    _end: socket.socket | None = None

    def _execute_child(
        self, args: Any, executable: Any, before: Any, close: Any, fds: Any, cwd: Any, env: Any, *others: Any
    ) -> None:
        pipes, session, group = others[3:9], others[14], others[15]
        variables = {**(os.environ if env is None else env)}
        if everything or before or fds or group != -1 or args[:3] != COMMAND or _at_start(variables) != _template()[1]:
            super()._execute_child(args, executable, before, close, fds, cwd, env, *others)  # type: ignore[misc]
            return
        umask = os.umask(0)
        os.umask(umask)
        asked = {"args": [os.fsdecode(arg) for arg in args[3:]], "cwd": os.fsdecode(cwd or os.getcwd())}
        asked |= {"env": variables, "nice": os.nice(0), "session": session, "umask": umask}
        standard = [usual if fd == -1 else fd for usual, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(_template()[0], [json.dumps(asked).encode()], [*standard, theirs.fileno()])
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self.pid = _told(self._end)
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._end is None:
            try:
                pid, status, used = os.wait4(self.pid, wait_flags)
            except ChildProcessError:  # something else has waited for it
                return self.pid, 0
            self.seconds = used.ru_utime + used.ru_stime
            return pid, status
        poll = select.poll()  # not select(), which takes no descriptor above 1023
        poll.register(self._end, select.POLLIN)
        if wait_flags & os.WNOHANG and not poll.poll(0):
            return 0, 0
        with self._end:
            status, self.seconds, self.resident = _told(self._end)
        return self.pid, status

    def _internal_poll(self, *_given: Any, **_named: Any) -> int | None:
        if self.returncode is None:
            with self._waitpid_lock:  # type: ignore[attr-defined]
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run`, of `Forked`."""
    with mock.patch.object(subprocess, "Popen", Forked):
        return subprocess.run(arguments, **options)


def _at_start(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(AT_START)}


def _told(end: socket.socket) -> Any:
    said = end.recv(256)
    assert said, "the template has ended; what it said is above"
    return json.loads(said)


@cache
def _template() -> tuple[socket.socket, dict[str, str]]:
    """The socket of this process's template, and the variables that it began with."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # a home of its own: what is loaded from there would be in each server
    home = tempfile.TemporaryDirectory(prefix="antiphon-template-")
    variables = {**os.environ, "ANTIPHON_HOME": home.name}
    with theirs:
        process = subprocess.Popen([sys.executable, "-P", str(TEMPLATE)], stdin=theirs, env=variables, cwd=home.name)

    def end() -> None:
        ours.shutdown(socket.SHUT_RDWR)  # a forked child may still hold the descriptor
        ours.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
        home.cleanup()

    atexit.register(end)
    return ours, _at_start(variables)
