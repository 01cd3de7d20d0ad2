"""A process that has imported what `antiphon` imports, and forks for each command what a new interpreter would become.

Its standard input is a socket. Each message is JSON (args, cwd, env, nice, session, umask) with four descriptors: the
command's standard input, output and error, and a socket that is told the pid, and, once that has ended, its wait
status, the seconds of processor it took, and the bytes that were resident at most. `tests/forked.py` sends them.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from antiphon.kernel.native import compile_all
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime.platform import end_with_parent
from antiphon.kernel.runtime.processes.child_process import block_signals, leave
from antiphon.kernel.supervisor import starts

IMPORTED = (
    "cli.commands",
    "cli.files.render",
    "cli.files.run",
    "cli.serve",
    "kernel.control.process",
    "kernel.engine.callback",
    "kernel.engine.file_loop",
    "kernel.engine.loop",
    "kernel.engine.process",
    "offline.rendering",
    "web.process",
)
"""What commands and the processes of a server import."""
LONGEST = 1 << 20
"""Bytes of a message at most."""
_execute = starts._module
_forked = {"antiphon.kernel.control.process", "antiphon.web.process"}
"""Parts of a server that are forked as well, once each: what follows one that died has an interpreter of its own."""


def prepare() -> None:
    """Imports that, and the plugins that are built in, and loads the kernels."""
    for name in IMPORTED:
        import_module(f"antiphon.{name}")
    compile_all()
    loader.load(check=False)
    compile_all()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lack the other threads"
    gc.freeze()


def serve(requests: socket.socket) -> None:
    """Forks for each request; returns in the children, and at the end of the requests."""
    running: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in running:
                poll.unregister(fd)
                tell_end(*running.pop(fd))
                os.close(fd)
                continue
            message, fds, _, _ = socket.recv_fds(requests, LONGEST, 4)
            if not message:
                sys.exit()
            pid = os.fork()
            if pid == 0:
                requests.detach()
                become(json.loads(message), fds[:3])
                return
            for standard in fds[:3]:
                os.close(standard)
            asking = socket.socket(fileno=fds[3])
            asking.send(json.dumps(pid).encode())
            watched = os.pidfd_open(pid)
            running[watched] = pid, asking
            poll.register(watched, select.POLLIN)


def tell_end(pid: int, asking: socket.socket) -> None:
    _, status, used = os.wait4(pid, 0)
    seconds, resident = used.ru_utime + used.ru_stime, used.ru_maxrss << 10
    with asking, contextlib.suppress(BrokenPipeError):  # nothing may be waiting for it any more
        asking.send(json.dumps([status, seconds, resident]).encode())


def become(asked: dict[str, Any], standard: list[int]) -> None:
    """What an interpreter that was started for this command would be."""
    if asked["session"]:
        os.setsid()
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
    close_all_but(())
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    os.nice(max(0, asked["nice"] - os.nice(0)))
    os.environ.clear()
    os.environ.update(asked["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    starts._module = fork_module
    sys.path.insert(0, os.getcwd())
    sys.argv = ["", *asked["args"]]


def close_all_but(fds: tuple[int, ...]) -> None:
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in fds:
            with contextlib.suppress(OSError):  # the folder's own is closed already
                os.close(fd)


def fork_module(name: str, given: dict[str, Any], fds: tuple[int, ...], *, bound: bool = False) -> int:
    """`starts._module`, without an interpreter of its own for those of `_forked`."""
    if name not in _forked:
        return _execute(name, given, fds, bound=bound)
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
    prepare()
    with socket.socket(fileno=os.dup(0)) as messages:
        serve(messages)
    runpy.run_module("antiphon", run_name="__main__", alter_sys=True)
