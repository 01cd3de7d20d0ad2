"""`python -m antiphon`, forked from a process that has imported it already: a third of the processor time of a start.

As `subprocess` has it: `Forked` for `Popen`, `run` for `run`. Helpers (`HELPERS`) are forked from templates of their
own. What cannot be forked is executed: anything else, what an interpreter reads when it starts and this process began
with otherwise, what a copy of this process starts, and what a test marked `executed` starts. `executed`, the mark or
the context, is for what measures a start, its memory or its descriptors, or reads the process list, where a fork shows
the template's command line and environment.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

COMMAND = [sys.executable, "-m", "antiphon"]
CHILD = "antiphon.kernel.runtime.processes.child_main"
"""Module that a child runs first."""
HELPERS = ("antiphon.files.decode_child", "antiphon.kernel.workers.zygote", "antiphon.offline.script_child")
"""Modules of functions that children run."""
TEMPLATE = Path(__file__).with_name("template.py")
AT_START = ("PYTHON", "LANG", "LC_", "OPENBLAS", "OMP", "MKL", "LD_")
"""How variables begin that an interpreter or a library reads only when it starts."""
# Before numpy and torch are imported, for what tests start too: threads that spin for one another take several times
# the processor time of one thread as soon as there are fewer cores than threads.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
# Without bytecode each process that a test starts compiles every module again, at twice the cost of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
BEGAN = {name: value for name, value in os.environ.items() if name.startswith(AT_START)}
"""Those that this process began with, and so each template."""
PATH, PATHS = "PYTHONPATH", os.pathsep.join(filter(None, sys.path))
"""The one of them that a fork of a helper can still take, as `children.environment` gives it: what this one imports."""
_templates: dict[str, socket.socket] = {}
"""Of each module the socket of this process's template."""
_lock, _owner = threading.RLock(), os.getpid()
everything = False
"""Whether everything is executed; `conftest.py` sets it for each test, `executed` for what is inside."""


@contextlib.contextmanager
def executed() -> Iterator[None]:
    """Within this context nothing is forked."""
    with mock.patch.object(sys.modules[__name__], "everything", True):
        yield


class Forked(subprocess.Popen[Any]):
    """`Popen` that forks what can be forked. Its other methods are those of `Popen`, which knows how a process is made
    and waited for only in the two that are here.

    Attributes:
        seconds, resident: Of one that has ended: the processor time of it and of what it waited for, and the bytes that
            were resident at most; 0 for one that was executed, to which the kernel counts what its parent had.
    """

    seconds, resident, _forked = 0.0, 0, False

    def _execute_child(
        self, args: Any, executable: Any, before: Any, close: Any, fds: Any, cwd: Any, env: Any, *others: Any
    ) -> None:
        pipes, session, group = others[3:9], others[14], others[15]
        variables = {**(os.environ if env is None else env)}
        module, words = _asked([os.fsdecode(arg) for arg in args])
        other = everything or before or group != -1 or not module
        template = None if other else _template(module, variables)
        if template is None:
            super()._execute_child(args, executable, before, close, fds, cwd, env, *others)  # type: ignore[misc]
            return
        umask = os.umask(0)
        os.umask(umask)
        asked = {"args": words, "cwd": os.fsdecode(cwd or os.getcwd()), "env": variables, "umask": umask}
        asked |= {"keep": list(fds), "nice": os.nice(0), "session": session}
        asked["mask"] = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
        standard = [usual if fd == -1 else fd for usual, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        with _lock:
            socket.send_fds(template, [json.dumps(asked).encode()], [*standard, *fds])
            self.pid = _told(template)
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self._child_created = self._forked = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        try:
            pid, status, used = os.wait4(self.pid, wait_flags)
        except (ChildProcessError, ImportError):  # something else has waited for it; this process ends
            return self.pid, 0
        self.seconds = used.ru_utime + used.ru_stime
        self.resident = used.ru_maxrss << 10 if self._forked else 0
        return pid, status

    def _internal_poll(self, *_given: Any, **_named: Any) -> int | None:
        lock = self._waitpid_lock  # type: ignore[attr-defined]
        if self.returncode is None and lock.acquire(blocking=False):  # one that waits holds it until the end
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run`, of `Forked`."""
    with mock.patch.object(subprocess, "Popen", Forked):
        return subprocess.run(arguments, **options)


def _asked(arguments: list[str]) -> tuple[str, list[str]]:
    """Module that can be forked, and its words; "" for none."""
    if arguments[:3] == COMMAND:
        return "antiphon", arguments[3:]
    if arguments[:4] != [sys.executable, "-P", "-m", CHILD]:
        return "", []
    module = arguments[5].partition(":")[0]
    return (module, arguments[4:]) if module in HELPERS else ("", [])


def _told(end: socket.socket) -> Any:
    said = end.recv(256)
    assert said, "the template has ended; what it said is above"
    return json.loads(said)


def _template(module: str, variables: dict[str, str]) -> socket.socket | None:
    """The socket of the template of a module; None for other variables than this process's, or in a copy of it."""
    later = (PATH,) if module in HELPERS else ()
    if os.getpid() != _owner or _at_start(variables, later) != _at_start(BEGAN, later):
        return None
    with _lock:
        if module not in _templates:
            began = {PATH: "", **BEGAN, **dict.fromkeys(later, PATHS)}
            _templates[module] = _started(module, {**variables, **began})
    return _templates[module]


def _at_start(variables: dict[str, str], later: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(AT_START) and name not in later}


def _started(module: str, variables: dict[str, str]) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # a home of its own: what is loaded from there would be in each server
    home = tempfile.TemporaryDirectory(prefix="antiphon-template-")
    command = [sys.executable, "-P", str(TEMPLATE), module]
    env = {**variables, "ANTIPHON_HOME": home.name}
    # by a thread that ends: its children are the first thread's then, and do not end with the one that asks
    with theirs, ThreadPoolExecutor(1) as thread:
        process = thread.submit(lambda: subprocess.Popen(command, stdin=theirs, env=env, cwd=home.name)).result()

    def end() -> None:
        ours.shutdown(socket.SHUT_RDWR)  # a forked child may still hold the descriptor
        ours.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
        home.cleanup()

    atexit.register(end)
    return ours
