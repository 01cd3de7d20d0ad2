"""Checks of the kernel's limits: socket buffers, scheduling, timers, processors, memory."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.platform import cores, exact_timers, free_memory
from antiphon.kernel.runtime.shortening import escape_unprintable

Check = Callable[[], Iterable[Finding]]


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Yields the findings of all checks; a check that raises gives a finding too."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:
            name = getattr(check, "__name__", "check").removeprefix("check_").replace("_", " ")
            yield Finding(name, "limited", f"could not be checked: {type(error).__name__}: {error}")


def finding_if(subject: str, good: bool, works: str, else_text: str = "", mend: str = "") -> Finding:
    """Returns a finding that works, or one that is limited, with a fix."""
    return Finding(subject, "works", works) if good else Finding(subject, "limited", else_text, mend)


def lines(finding: Finding) -> Iterator[str]:
    """Yields the lines to print for a finding."""
    yield escape_unprintable(f"{finding.state:<8} {finding.subject}: {finding.text}")
    if finding.mend:
        yield f"{'':<8}   mend: {finding.mend}"


WANTED_BUFFER = 8 << 20
WANTED_MEMORY = 512 << 20
_SMALL = 768
"""Bytes of the socket buffer that a short datagram uses."""
_LIMITS = "/etc/security/limits.d/antiphon.conf"


def check_receive_buffer() -> Iterator[Finding]:
    """Checks the size of the kernel's receive buffer for OSC datagrams."""
    from antiphon.kernel.io import osc_udp

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        got = osc_udp.enlarge_buffer(sock)
    good = f"100,000 messages at once were received without loss with its {got / 2**20:.3g} MiB"
    most = f"about {got // _SMALL:,} short messages at once fit; more are lost, and /status counts them"
    fix = f"sudo sysctl -w net.core.rmem_max={WANTED_BUFFER} (and into /etc/sysctl.d/ to keep it)"
    small = f"{got / 1024:.0f} KiB of {WANTED_BUFFER >> 20} MiB: {most}"
    yield finding_if("OSC buffer", got >= WANTED_BUFFER, good, small, fix)


def scheduling() -> Iterator[Finding]:
    """Checks whether `serve --fifo` is permitted, in a child process."""
    if not hasattr(os, "sched_setscheduler"):
        yield Finding("real-time scheduling", "limited", "this system does not let sound come first; it takes its turn")
        return
    code = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, timeout=10)
    good = "permitted: with `serve --fifo` sound comes before all else, for blocks of 64 frames"
    text = "not permitted: sound takes its turn, which is enough for blocks of 256 frames and for most of 64"
    fix = f"echo '@audio - rtprio 95' | sudo tee {_LIMITS}; sudo usermod -aG audio $USER; log in anew"
    yield finding_if("real-time scheduling", done.returncode == 0, good, text, fix)


def processors() -> Iterator[Finding]:
    count = cores()
    text = "1: sound and messages share it; choose blocks of 256 frames or more"
    yield finding_if("processors", count >= 2, f"{count}: one for sound, one for messages", text, "serve --block 512")
    governors = {
        p.read_text().strip() for p in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    }
    slow = governors - {"performance", "schedutil"}
    if governors:
        fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        saves = f"saves power ({', '.join(sorted(slow))}): blocks may come late"
        yield finding_if("processor speed", not slow, f"governor {', '.join(sorted(governors))}", saves, fix)


def timers() -> Iterator[Finding]:
    """Measures the wake-up latency of a 1 ms sleep, which the software clock uses."""
    exact_timers()
    late = []
    for _ in range(100):
        due = time.perf_counter_ns() + 1_000_000
        time.sleep(0.001)
        late.append((time.perf_counter_ns() - due) / 1000.0)
    late.sort()
    middle, worst = late[50], late[-1]
    text = f"this machine wakes {middle / 1000:.2f} ms late in the middle of 100 times, {worst / 1000:.2f} at worst"
    fix = "serve --block 512; close other programs; on a virtual machine ask its host"
    yield finding_if("timers", middle < 1000.0, text, text, fix)


def memory() -> Iterator[Finding]:
    free = free_memory()
    good = f"{free / 2**30:.1f} GiB free; a server takes about 0.3"
    small = f"{free >> 20} MiB free; a server takes about 300"
    yield finding_if("memory", free >= WANTED_MEMORY, good, small, "close other programs")


CHECKS = (processors, memory, scheduling, timers, check_receive_buffer)
