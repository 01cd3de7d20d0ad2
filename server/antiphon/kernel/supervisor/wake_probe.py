"""How late this machine wakes a thread, measured beside the rest of the start: it decides `--ahead` unless given."""

from __future__ import annotations

import time

from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.runtime.processes import scheduling
from antiphon.kernel.runtime.processes.child_process import end_with_parent

SECONDS = 1.5
"""Longest time of a measurement; the supervisor ends it before it starts the engine."""
_STEP_NS = 1_000_000


def run(words: memoryview) -> int:
    """Main function of the probe, after the fork: sleeps as the engine does, and notes the latest wake-up.

    words: the shared header, indexed by `HeaderWord`.
    """
    end_with_parent()
    scheduling.short_slices()
    due = time.monotonic_ns()
    end = due + round(SECONDS * 1e9)
    while due < end:
        now = time.monotonic_ns()
        words[HeaderWord.WAKE_LATE_NS] = max(words[HeaderWord.WAKE_LATE_NS], now - due)
        due = now + _STEP_NS
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
    return 0
