"""Processes of a supervisor: what ends with it."""

import subprocess
import sys

from tests.waiting import until

from antiphon.kernel.runtime.processes.pidfile import start_time


def test_a_child_ends_with_its_parent_from_its_first_instruction() -> None:
    """Before it could ask for that itself: the program that it executes knows nothing of its parent."""
    child = "import time; time.sleep(60)"
    parent = (
        "import os, signal, subprocess, sys\n"
        "from antiphon.kernel.runtime.processes.child_process import end_with_parent\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], preexec_fn=end_with_parent, stdout=2)\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, check=False, timeout=300)
    pid = int(done.stdout)
    until(lambda: start_time(pid) == 0, 10.0, "it has ended")
