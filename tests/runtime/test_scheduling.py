"""What a process asks of the kernel's scheduler, in a process of its own."""

import subprocess
import sys

ASKED = """
import os
from antiphon.kernel.runtime.processes import scheduling
os.nice(7)
scheduling.short_slices()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def test_short_slices_leave_the_priority_that_somebody_gave() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; before = os.nice(0)\n" + ASKED + "print(before)"],
        capture_output=True,
        text=True,
        check=True,
    )
    after, before = map(int, done.stdout.split())
    assert after == min(19, before + 7)
