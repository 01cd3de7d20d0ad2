"""Low priority for operations on files: sound that plays on the machine has precedence."""

import contextlib
import os
import signal
from pathlib import Path
from types import FrameType

from antiphon.kernel.runtime.platform import end_with_parent

LOWEST_NICE, SESSION_NICE = 19, 10
"""Nice values for low priority: of the process, and of its session, which gets a tenth of another's processor time."""
_AUTOGROUP, _GROUPED = Path("/proc/self/autogroup"), Path("/proc/sys/kernel/sched_autogroup_enabled")


def lower_priority() -> None:
    """Sets the lowest priority of the ordinary class for this process, and a low one for its session.

    Where Linux groups processes by session (sched_autogroup), nice values count within a session alone, and a process
    in a separate session gets as much time as all that play sound; so the group gets a nice value too.
    """
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_NICE)
    with contextlib.suppress(OSError):
        _AUTOGROUP.write_text(str(SESSION_NICE))


def give_way(*, beside: bool) -> None:
    """Lowers the priority of a command on files, and of its processes.

    A session leader keeps its priority, which its parent chose, for example a server that waits for the answer.
    `beside`: whether sound plays on this machine. If Linux groups processes by session, the command then continues as a
    child in a separate session. So the terminal's session, in which a server may be started next, keeps its priority.
    """
    if os.getsid(0) == os.getpid():
        return
    grouped = False
    with contextlib.suppress(OSError):
        grouped = beside and _GROUPED.read_text().strip() == "1"
    if grouped:
        _into_own_session()
        lower_priority()
    else:
        os.setpriority(os.PRIO_PROCESS, 0, max(SESSION_NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _into_own_session() -> None:
    """Returns in a child that leads a session; the parent passes signals on to it, and exits like it."""
    parent = os.getpid()
    child = os.fork()
    if not child:
        if not end_with_parent(parent):
            os._exit(1)
        os.setsid()
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(parent, signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    signal.signal(signal.SIGTSTP, stop)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(parent, -code)
    os._exit(code)
