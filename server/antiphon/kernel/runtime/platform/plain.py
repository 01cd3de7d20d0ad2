"""The plain ways of any POSIX system, each as that of `linux` by the same name."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import threading
import time
from collections.abc import Callable

_RUNG = (1).to_bytes(8, "little")
_PIPE = 1 << 16
"""Bytes that one read takes: no system's pipe holds more."""
_LOOK_SECONDS = 0.2


def make_bell(*, waits: bool = False, inherited: bool = True) -> int:
    """Creates a bell: a pipe whose ends are one descriptor, which a socket would be at ten times the cost of a ring."""
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        path = os.path.join(folder, "bell")
        os.mkfifo(path, 0o600)
        bell = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # a full pipe has rung: its writer does not wait
    os.set_inheritable(bell, inherited)
    return bell


def ring(bell: int) -> None:
    """Rings a bell; does not wait."""
    try:
        os.write(bell, _RUNG)
    except BlockingIOError:
        pass


def hear(bell: int) -> None:
    """Silences a bell. Raises BlockingIOError: it was not rung."""
    os.read(bell, _PIPE)


def wait_bell(bell: int) -> None:
    """Waits until a bell is rung, and silences it."""
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    while True:
        poll.poll()
        try:
            os.read(bell, _PIPE)
        except BlockingIOError:
            continue
        return


def anonymous_file(name: str) -> int:
    """As of `linux`: shared memory whose name is taken away at once, so that no end of a process leaves it behind."""
    try:
        from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]  # it has no stub
    except ImportError:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    else:
        path = f"/{name[:12]}-{os.urandom(6).hex()}"  # macOS allows 31 characters
        fd = shm_open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
        shm_unlink(path)
    os.set_inheritable(fd, True)
    return fd


def end_with_parent() -> None:
    """A thread of this process, a program's own call, ends it a fifth of a second after its parent."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, name="parent", daemon=True).start()


end_before_exec: Callable[[], None] | None = None
"""None: an executed program is not ended with its parent."""


def fifo(priority: int) -> bool:
    """False: priorities are the ordinary ones."""
    return False


def short_slices() -> None:
    """Nothing: slices are the ordinary ones."""
