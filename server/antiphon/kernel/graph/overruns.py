"""Overrun detection, by computing and sleeping time per block, and retries of nodes that failed by overruns or NaN."""

import time
from collections.abc import Callable

from antiphon.kernel.runtime.platform import thread_clocks

OVERRUN_SECONDS = 1.0
"""Accumulated overrun time at which a node fails, seconds."""
RETURN_SECONDS = 0.1
"""Accumulated overrun time at which a retried node fails, seconds."""
PROBATION_SECONDS = 30.0
"""Probation time of a retried node, seconds."""
FIRST_PAUSE, MAX_PAUSE = 2.0, 60.0
"""Pause in seconds before a retry; doubled at each failure during probation."""
RESET_PAUSE = 0.02
"""Pause in seconds before a node that output NaN is reset, outside a probation: its fade has ended then."""
SLEEP_NS = 100_000_000
"""Maximum sleep counted within one block: the whole process may have been stopped."""


class _ThreadWatch:
    """CPU and run-queue time of the engine's thread since its last overrun; read only then, as reading is slow."""

    def __init__(self) -> None:
        self._at = self._ran = self._waited = 0
        self.answers: Callable[[], int] = int  # time for which it has waited for workers, which are late by themselves

    def own(self, wall_ns: int) -> int:
        """Time the node computed or slept within the last `wall_ns`, ns; 0 if the last reading is too old."""
        now = time.perf_counter_ns()
        ran, waited = thread_clocks()
        waited += self.answers()
        passed, self._at = now - self._at, now
        new_ran, self._ran = ran - self._ran, ran
        new_waited, self._waited = waited - self._waited, waited
        if passed > 3 * wall_ns:
            return 0
        used = max(0, wall_ns - new_waited)
        computed = min(used, max(0, new_ran - (passed - wall_ns)))
        return computed + min(used - computed, SLEEP_NS)


_thread = _ThreadWatch()  # of the engine's loop, which runs all nodes


def exclude_waits(answers: Callable[[], int]) -> None:
    """Excludes from every node's time the wait for answers. `answers`: returns the ns waited so far."""
    _thread.answers = answers


class Overruns:
    """Overrun accounting of one node, and its retries."""

    def __init__(self, period_ns: float) -> None:
        """`period_ns`: duration of a block."""
        self._period_ns = period_ns
        self.open_ns = 0.0  # time of blocks that took too long, not made up for
        self._pause = 0.0
        self._tried_until = 0

    def record_timely_block(self) -> None:
        """Records a block that was in time, while `open_ns` is above 0."""
        self.open_ns = max(0.0, self.open_ns - self._period_ns)

    def record_overrun(self, wall_ns: int, sample: int) -> str:
        """Records a block that took `wall_ns`; returns the reason why the node fails, or "" if it goes on."""
        spent = _thread.own(wall_ns)
        if spent <= self._period_ns:
            return ""
        self.open_ns += spent
        tried = sample < self._tried_until
        if self.open_ns < (RETURN_SECONDS if tried else OVERRUN_SECONDS) * 1e9:
            return ""
        self._pause = self._pause_before_retry() if tried else FIRST_PAUSE
        return (
            f"overran: {spent / 1e6:.1f} ms for a block of {self._period_ns / 1e6:.1f} ms; "
            f"it is tried again in {self._pause:g} s"
        )

    def _pause_before_retry(self) -> float:
        return min(max(2.0 * self._pause, FIRST_PAUSE), MAX_PAUSE)

    def record_nan_block(self, reason: str, sample: int) -> str:
        """Records a block with NaN at `sample`, and sets `pause`: `RESET_PAUSE`, or during a probation a longer one.

        Returns the reason why the node fails: `reason`, and during a probation also the pause.
        """
        if sample >= self._tried_until:
            self._pause = RESET_PAUSE
            return reason
        self._pause = self._pause_before_retry()
        return f"{reason} again; it is tried again in {self._pause:g} s"

    @property
    def pause(self) -> float:
        """Seconds from the last failure until the node is retried."""
        return self._pause

    def begin_probation(self, sample: int, rate: int) -> None:
        """Begins the probation of a retried node at `sample`."""
        self.open_ns = 0.0
        self._tried_until = sample + round(PROBATION_SECONDS * rate)
