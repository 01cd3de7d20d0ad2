"""A process that has imported what a module imports, and forks for each command what a new interpreter would become.

Its argument is the module, `antiphon` or that of a helper. Its standard input is a socket. Each message is JSON (args,
cwd, env, keep, mask, nice, session, umask) with descriptors: the command's standard input, output and error, and
those that it keeps, by their numbers in `keep`. The answer is the pid. `tests/forked.py` sends and waits: what is
forked is no child of this process, but of the one that started it.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from antiphon.kernel.runtime.platform import end_with_parent
from antiphon.kernel.runtime.processes.child_process import block_signals, leave

CHILD = "antiphon.kernel.runtime.processes.child_main"
"""Module that a child runs first."""
IMPORTED = (
    "cli.commands",
    "cli.files.render",
    "cli.files.run",
    "cli.serve",
    "kernel.control.process",
    "kernel.engine.callback",
    "kernel.engine.loop",
    "kernel.engine.process",
    "offline.player",
    "web.process",
)
"""What commands and the processes of a server import."""
LONGEST, MOST = 1 << 20, 253
"""Bytes, and descriptors, of a message at most; the kernel takes no more."""
CLONE, CLONE_PARENT = {"x86_64": 56, "aarch64": 220}, 0x8000
"""Number of the system call, by machine, and its flag."""
_forked = {"antiphon.kernel.control.process", "antiphon.web.process"}
"""Parts of a server that are forked as well, once each: what follows one that died has an interpreter of its own."""


def prepare(module: str) -> None:
    """Imports that; for commands also the plugins that are built in, and loads the kernels."""
    if module == "antiphon":
        from antiphon.kernel.plugins import loader
        from antiphon.native.compiling import compile_all

        for name in IMPORTED:
            import_module(f"antiphon.{name}")
        compile_all()
        loader.load(check=False)
        compile_all()
    else:
        import_module(module)
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lack the other threads"
    gc.freeze()


def serve(requests: socket.socket) -> None:
    """Forks for each request; returns in the children, and at the end of the requests."""
    while True:
        message, fds, _, _ = socket.recv_fds(requests, LONGEST, MOST)
        if not message:
            sys.exit()
        pid = fork_sibling()
        if pid == 0:
            requests.detach()
            become(json.loads(message), fds)
            return
        for fd in fds:
            os.close(fd)
        requests.send(json.dumps(pid).encode())


def fork_sibling() -> int:
    """`os.fork` of a child of this process's parent, which waits for it."""
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid: int = ctypes.PyDLL(None).syscall(CLONE[os.uname().machine], CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
        assert pid > 0, "no process could be made"  # to its parent -1 would be all of them
    return pid


def become(asked: dict[str, Any], fds: list[int]) -> None:
    """What an interpreter that was started for this command would be."""
    if asked["session"]:
        os.setsid()
    numbers = [0, 1, 2, *asked["keep"]]
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, max(numbers) + 1) for fd in fds]
    for number, fd in zip(numbers, moved, strict=True):
        os.dup2(fd, number)
    close_all_but(tuple(asked["keep"]))
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    os.nice(max(0, asked["nice"] - os.nice(0)))
    paths, own = (env.get("PYTHONPATH", "").split(os.pathsep) for env in (asked["env"], os.environ))
    if paths != own:
        sys.path[:] = [*filter(None, paths), *(path for path in sys.path if path not in own)]
    os.environ.clear()
    os.environ.update(asked["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, asked["mask"])
    if sys.argv[1] == "antiphon":
        from antiphon.kernel.supervisor import starts

        starts._module = partial(fork_module, starts._module)
        sys.path.insert(0, os.getcwd())
    sys.argv = ["", *asked["args"]]


def close_all_but(fds: tuple[int, ...]) -> None:
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in fds:
            with contextlib.suppress(OSError):  # the folder's own is closed already
                os.close(fd)


def fork_module(
    execute: Callable[..., int], name: str, given: dict[str, Any], fds: tuple[int, ...], *, bound: bool = False
) -> int:
    """`starts._module`, which is `execute`, without an interpreter of its own for those of `_forked`."""
    if name not in _forked:
        return execute(name, given, fds, bound=bound)
    _forked.remove(name)
    read, write = os.pipe()
    parent = os.getpid()
    with block_signals():
        pid = os.fork()
        if pid == 0:
            leave(lambda: become_module(name, read, fds, parent if bound else 0))
    os.close(read)
    with contextlib.suppress(OSError), os.fdopen(write, "wb") as pipe:
        pipe.write(json.dumps(given).encode())
    return pid


def become_module(name: str, read: int, fds: tuple[int, ...], parent: int) -> int:
    if parent and not end_with_parent(parent):
        return 1
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(read, 0)
    # the supervisor's objects of them stay: its frames are below this one until the process ends
    close_all_but(fds)
    status: int = sys.modules[name].main(sys.stdin.read())
    return status


if __name__ == "__main__":
    # what ends a command, or all of the tests, by the terminal must not end this before the rest has ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ran = sys.argv[1]
    prepare(ran)
    with socket.socket(fileno=os.dup(0)) as messages:
        serve(messages)
    runpy.run_module(ran if ran == "antiphon" else CHILD, run_name="__main__", alter_sys=True)
