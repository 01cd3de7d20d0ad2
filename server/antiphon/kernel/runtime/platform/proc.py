"""Facts of processes and of the machine, as Linux tells them in /proc."""

import contextlib
import os
from pathlib import Path

from antiphon.kernel.runtime.platform.plain import thread_clocks as plain_clocks
from antiphon.kernel.runtime.platform.records import ThreadTimes


def start_time(pid: int) -> int:
    """Reads when a process started. With its pid this identifies a process: pids are used again.

    Returns clock ticks since the machine's start; 0 for a process that has ended, a zombie too.
    """
    fields = _stat(pid)
    return 0 if not fields or fields[0] == b"Z" else int(fields[19])


def is_stopped(pid: int) -> bool:
    """True for a process that a signal or a debugger has stopped."""
    return _stat(pid)[:1] in ([b"T"], [b"t"])


def _stat(pid: int) -> list[bytes]:
    """A process's facts from its state on; empty for one that is not there."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            return stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def thread_clocks() -> tuple[int, int]:
    """(time computed, time waited for a processor) of the calling thread since its start, ns. It takes some 10 µs."""
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
    """The times of each thread of a process, by its id, the first by `pid`; empty where they are not known."""
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
    """A process and those that it has started, and they; those that are known."""
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
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:")), 0)


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
