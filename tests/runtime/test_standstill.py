"""Who is to blame for time without progress: what a process computed and slept, not what it waited for a processor."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from antiphon.kernel.runtime.platform import descendants
from antiphon.kernel.runtime.processes import scheduling
from antiphon.kernel.runtime.processes.scheduling import StallTimeout, StallTimer, ThreadTimes

MS = 1_000_000


@pytest.mark.parametrize(
    ("times", "blamed"),
    [
        (lambda n: ThreadTimes(0, 0, True), 0),  # one wait that has not ended
        (lambda n: ThreadTimes(20 * MS * n, 0, True), 100 - 20),  # an endless loop, from the second look on
        (lambda n: ThreadTimes(10 * MS * n, 10 * MS * n, True), 40),  # a loop beside another process
        (lambda n: ThreadTimes(0, 0, False), 100),  # it sleeps, or is stopped
    ],
)
def test_a_process_that_is_kept_from_running_does_not_stand_still(
    monkeypatch: pytest.MonkeyPatch, times: Callable[[int], ThreadTimes], blamed: int
) -> None:
    now = [0]
    monkeypatch.setattr(scheduling.time, "monotonic_ns", lambda: 20 * MS * now[0])
    monkeypatch.setattr(scheduling, "thread_times", lambda _pid: {"1": times(now[0])})
    still = StallTimer(0.02)
    assert still.look(1, 5) == 0
    for _ in range(5):
        now[0] += 1
        found = still.look(1, 5)
    assert found == blamed * MS


@pytest.mark.parametrize("waits", [True, False])
def test_the_seconds_of_a_process_are_none_in_which_it_waits_for_a_processor(
    monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    monkeypatch.setattr(scheduling, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(scheduling, "thread_times", lambda _pid: {"1": ThreadTimes(0, 0, waits)})
    looks: list[int] = []
    read, write = os.pipe()

    def meanwhile() -> None:
        looks.append(1)
        if len(looks) == 20:  # it answers, late
            os.write(write, b"!")

    assert not StallTimeout(0).wait_readable(read, 1)
    assert StallTimeout(0.05).wait_readable(read, 1, meanwhile) == waits
    for end in (read, write):
        os.close(end)


def test_the_times_of_a_real_process() -> None:
    code = "import sys\nprint(flush=True)\nsys.stdin.readline()\nprint(flush=True)\nwhile True: pass"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        while (before := scheduling.thread_times(child.pid)[str(child.pid)]).ready:
            pass
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        while (after := scheduling.thread_times(child.pid)[str(child.pid)]).ran < before.ran + 20 * MS:
            pass
        assert after.ready
    finally:
        child.kill()
        child.wait()


def test_a_wait_of_what_a_process_started_is_none_of_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'print(flush=True)\\ninput()']).wait()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        own, other = descendants(child.pid)
        assert own == child.pid
        waiting = {own: ThreadTimes(0, 0, False), other: ThreadTimes(0, 0, True)}
        now = [0]
        monkeypatch.setattr(scheduling.time, "monotonic_ns", lambda: 100 * MS * now[0])
        monkeypatch.setattr(scheduling, "thread_times", lambda pid: {str(pid): waiting[pid]})

        def ends() -> bool:
            patience, found = StallTimeout(0.5), False
            for _ in range(10):
                now[0] += 1
                found |= patience.has_expired(child.pid)
            return found

        assert not ends()
        waiting[other] = waiting[own]
        assert ends()
    finally:
        child.communicate(b"\n")
