"""The plain implementation for any POSIX system; functions have the names of those in `linux`.

Facts of processes come from psutil, which other systems need; it is imported at the first use.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_RUNG = (1).to_bytes(8, "little")
_PIPE = 1 << 16
"""Maximum bytes of one read: no system's pipe holds more."""
_LOOK_SECONDS = 0.2


class ThreadTimes(NamedTuple):
    """Time that a thread has run and waited since its start."""

    ran: int  # time computed, ns
    waited: int  # time waited for a processor, ns, in waits that have ended; -1 where the system does not tell
    ready: bool


def make_bell(*, waits: bool = False, inherited: bool = True) -> int:
    """Creates a bell: a pipe with both ends in one descriptor. A socket would take ten times as long to ring."""
    import tempfile  # which a process that makes none does without

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


def anonymous_file(name: str, size: int) -> int:
    """Inheritable descriptor of unlinked shared memory, or of a temporary file where shared memory is too small."""
    fd = _open_shared_memory(name)
    if fd < 0 or not 0 < size <= _room(fd):
        if fd >= 0:
            os.close(fd)
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    os.set_inheritable(fd, True)
    return fd


def _open_shared_memory(name: str) -> int:
    try:
        from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]  # it has no stub
    except ImportError:
        return -1
    path = f"/{name[:12]}-{os.urandom(6).hex()}"  # macOS allows 31 characters
    fd: int = shm_open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
    shm_unlink(path)
    return fd


def _room(fd: int) -> int:
    """Free bytes of shared memory, where the system tells: a process that writes a page beyond is killed."""
    try:
        found = os.fstatvfs(fd)
    except OSError:
        return sys.maxsize
    return found.f_frsize * found.f_bavail or sys.maxsize


def end_with_parent(parent: int) -> bool:
    """Starts a thread that kills this process, and the group it leads, within 0.2 s of its parent's end.

    Returns False if the parent has ended already.
    """

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        own = os.getpid()
        (os.killpg if os.getpgrp() == own else os.kill)(own, signal.SIGKILL)

    if os.getppid() != parent:
        return False
    threading.Thread(target=look, name="parent", daemon=True).start()
    return True


def end_before_exec() -> None:
    """Does nothing: a foreign program ends with the group of the worker that has started it."""


def adopt_orphans() -> None:
    """Does nothing: orphans of children are adopted by init."""


def name_process(name: str) -> None:
    """Names a forked process; nothing is forked here."""


def exact_timers() -> None:
    """Does nothing: the precision of timers cannot be set."""


def cores() -> int:
    """Number of processors."""
    return os.cpu_count() or 1


def fifo(priority: int) -> bool:
    """Returns False: there is no real-time priority."""
    return False


def short_slices() -> None:
    """Does nothing: time slices cannot be set."""


def start_time(pid: int) -> int:
    """Start time of a process in hundredths of seconds; 0 for one that has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        return 0 if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time() * 100)
    except (psutil.Error, ValueError):
        return 0


def is_stopped(pid: int) -> bool:
    """True for a process that a signal or a debugger has stopped."""
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except (psutil.Error, ValueError):
        return False


def thread_clocks() -> tuple[int, int]:
    """(time computed, time waited for a processor) of the calling thread, ns.

    If no thread was preempted between two calls, the time without CPU was sleep, not waiting.
    """
    now, ran, switches = time.perf_counter_ns(), time.thread_time_ns(), _preemption_count()
    before, ran_before, switches_before, waited = _clocks
    if switches != switches_before or switches < 0:
        waited += now - before - (ran - ran_before)
    _clocks[:] = now, ran, switches, waited
    return ran, waited


def _preemption_count() -> int:
    """Times that this process's threads were preempted; -1 where the system does not tell."""
    return -1 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


_clocks = [0, 0, -1, 0]  # at the last call: the time, what the thread had computed, preemptions, what it had waited


def thread_times(pid: int) -> dict[str, ThreadTimes]:
    """Times of a process as one thread, by its pid: other systems tell no more."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, ready = process.cpu_times(), process.status() == psutil.STATUS_RUNNING
    except (psutil.Error, ValueError):
        return {}
    return {str(pid): ThreadTimes(round((times.user + times.system) * 1e9), -1, ready)}


def descendants(pid: int) -> list[int]:
    """A process, its children and their descendants, as far as they are known."""
    import psutil

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except (psutil.Error, ValueError):
        return [pid]


def free_memory() -> int:
    """Free bytes of the machine."""
    import psutil

    return int(psutil.virtual_memory().available)


def private_memory() -> int:
    """Bytes of this process's data segment; 0 where the system does not tell."""
    import psutil

    return int(getattr(psutil.Process().memory_info(), "data", 0))


def address_space() -> int:
    """Bytes of this process's address space."""
    import psutil

    return int(psutil.Process().memory_info().vms)


def process_at(port: int) -> int:
    """PID of the process that listens at UDP port `port`; 0 if there is none."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(place.laddr and place.laddr.port == port for place in process.net_connections("udp")):
                return int(process.pid)
    return 0


def network() -> int:
    """Returns 0: there are no network namespaces."""
    return 0


def user_folder(kind: str) -> str:
    """This user's folder for Antiphon's files of a kind: "config", "data" or "cache"."""
    import platformdirs

    return str(getattr(platformdirs, f"user_{kind}_dir")("antiphon"))
