"""Linux implementation: eventfds, memory files, a signal at the parent's end, priorities, exact timers, /proc."""

import contextlib
import ctypes
import os
import signal
from functools import cache
from pathlib import Path

from antiphon.kernel.runtime.platform.plain import ThreadTimes, thread_clocks as plain_clocks

_SLICE_NS = 100_000
_SYSCALLS = {"x86_64": 314, "aarch64": 274}
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_TIMERSLACK, _PR_SET_CHILD_SUBREAPER = 1, 15, 29, 36
_ARGUMENTS = slice(45, 47)
"""Indices of start and end address of the command line, counted after the name in /proc/self/stat."""


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def make_bell(*, waits: bool = False, inherited: bool = True) -> int:
    """Creates a bell, readable once rung: for `wait_bell` if it `waits`, else for `hear`; `inherited` by programs."""
    return os.eventfd(0, (0 if waits else os.EFD_NONBLOCK) | (0 if inherited else os.EFD_CLOEXEC))


def ring(bell: int) -> None:
    """Rings a bell; does not wait. Machine code writes eight bytes, int64 1, instead."""
    os.eventfd_write(bell, 1)


def hear(bell: int) -> None:
    """Silences a bell that was rung any number of times. Raises BlockingIOError: it was not."""
    os.eventfd_read(bell)


def wait_bell(bell: int) -> None:
    """Waits until a bell made with `waits` is rung, and silences it."""
    os.eventfd_read(bell)


def anonymous_file(name: str, size: int) -> int:
    """Creates a file of zeros that is in no folder, inheritable, to be mapped by several processes."""
    fd = os.memfd_create(name, 0)
    os.ftruncate(fd, size)
    os.set_inheritable(fd, True)
    return fd


def end_with_parent(parent: int) -> bool:
    """Makes the system kill this process when its parent ends; False if `parent` is not, or no longer, its parent."""
    end_before_exec()
    return os.getppid() == parent


def end_before_exec() -> None:
    """Makes the system kill this process, or the program it executes, when its parent ends; for `preexec_fn`."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of its children's orphans: their ends are reported to it."""
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: str) -> None:
    """Sets a forked process's command line, for example "antiphon: engine", for `ps` and `top`."""
    _libc().prctl(_PR_SET_NAME, name.encode())
    with contextlib.suppress(OSError, ValueError):
        stat = Path("/proc/self/stat").read_bytes()
        first, end = map(int, stat.rpartition(b")")[2].split()[_ARGUMENTS])
        shown = Path("/proc/self/cmdline").read_bytes()
        # the memory that the process list shows, of which Python has copies; nothing is written unless it is there
        if 0 < first < end and ctypes.string_at(first, end - first) == shown[: end - first]:
            ctypes.memset(first, 0, end - first)
            ctypes.memmove(first, (title := f"antiphon: {name}".encode()[: end - first - 1]), len(title))


def exact_timers() -> None:
    """Makes a sleep of this thread end when it is due, not up to 50 µs later."""
    _libc().prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)


def cores() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def fifo(priority: int) -> bool:
    """Sets SCHED_FIFO, priority 1 to 99, for this thread and those it starts; False where that is not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def short_slices() -> None:
    """Requests time slices of 100 µs for this process, in the ordinary scheduling class: earlier wake-ups under load.

    Needs Linux 6.12 and no privilege; elsewhere it does nothing.
    """
    number = _SYSCALLS.get(os.uname().machine)
    if number is None:
        return
    # this call sets the nice value too, and is refused if that would lower it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _Attributes(size=ctypes.sizeof(_Attributes), policy=0, nice=nice, runtime=_SLICE_NS)
    _libc().syscall(number, 0, ctypes.byref(asked), 0)


def start_time(pid: int) -> int:
    """Clock ticks from the machine's start to a process's; 0 for one that has ended, a zombie too."""
    fields = _read_process_stat(pid)
    # while other threads of a killed one still end it holds its ports, though its first thread is a zombie already
    ended = not fields or (fields[0] == b"Z" and int(fields[17]) <= 1)
    return 0 if ended else int(fields[19])


def is_stopped(pid: int) -> bool:
    """True for a process that a signal or a debugger has stopped."""
    return _read_process_stat(pid)[:1] in ([b"T"], [b"t"])


def _read_process_stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat from the state on; empty for a process that does not exist."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            return stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def thread_clocks() -> tuple[int, int]:
    """(CPU time, time waited for a CPU) of the calling thread since its start, ns. It takes some 10 µs."""
    try:
        fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        try:
            ran, waited, _ = os.read(fd, 96).split()
        finally:
            os.close(fd)
        return int(ran), int(waited)
    except (OSError, ValueError):  # a kernel without these figures
        return plain_clocks()


def thread_times(pid: int) -> dict[str, ThreadTimes]:
    """Times of each thread of a process, by its id, the first by `pid`; empty where they are not known."""
    times = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                ran, waited = file.read(96).split()[:2]
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                ready = file.read().rpartition(b")")[2].split()[0] == b"R"
            times[thread] = ThreadTimes(int(ran), int(waited), ready)
    return times


def descendants(pid: int) -> list[int]:
    """A process, its children and their descendants, as far as they are known."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError, ValueError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                found += map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
    return found


def free_memory() -> int:
    """Bytes that this machine, or the container, has free; 0 where that is unknown."""
    free = 0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) << 10
    with contextlib.suppress(OSError, ValueError):  # "max" where the container has no limit
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        free = min(free, int((group / "memory.max").read_text()) - used)
    return free


def private_memory() -> int:
    """Bytes of this process that a limit of `data` counts."""
    return _held("VmData:")


def address_space() -> int:
    """Bytes of this process that a limit of `address` counts."""
    return _held("VmSize:")


def _held(kind: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(kind)), 0)


def process_at(port: int) -> int:
    """PID of this user's process that listens at UDP port `port`; 0 if there is none."""
    inode = ""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port:
            inode = f"socket:[{words[9]}]"
    for folder in Path("/proc").iterdir() if inode else ():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if any(os.readlink(f) == inode for f in (folder / "fd").iterdir()):
                    return int(folder.name)
    return 0


def network() -> int:
    """The number of this process's network namespace; 0 where the system does not say."""
    try:
        return os.stat("/proc/self/ns/net").st_ino
    except OSError:
        return 0


_FOLDERS = {"config": "~/.config", "data": "~/.local/share", "cache": "~/.cache"}


def user_folder(kind: str) -> str:
    """This user's folder for Antiphon's files of a kind, "config", "data" or "cache", by the XDG specification."""
    given = os.environ.get(f"XDG_{kind.upper()}_HOME", "")
    return os.path.join(given if os.path.isabs(given) else os.path.expanduser(_FOLDERS[kind]), "antiphon")
