"""Clocks of control: the engine's sample clock, and the wall clock of time tags."""

import time
from collections.abc import Callable

from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import RequestError
from antiphon.kernel.session.commands import Sample
from antiphon.kernel.session.schedule import HORIZON, Moment
from antiphon.kernel.wire import ntp

STEP_NS = 1_000_000
"""Change against the monotonic clock, ns, that counts as a step of the wall clock."""
_BRACKETS = 7


class WallClock:
    """The offset between the two clocks, measured once and used until the wall clock steps.

    It is not measured for each time tag, because measurements jitter: time tags an exact number of frames apart must
    give moments exactly as far apart.

    `offset`: wall clock minus CLOCK_MONOTONIC, in ns; `steps`: number of steps of the wall clock.
    """

    def __init__(
        self, realtime: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Measures the offset; both clocks give nanoseconds."""
        self._realtime, self._monotonic = realtime, monotonic
        self.offset = self._measure()
        self.steps = 0

    def update(self) -> bool:
        """Measures again; True if the wall clock had stepped, so that the offset changed."""
        measured = self._measure()
        if abs(measured - self.offset) <= STEP_NS:
            return False
        self.offset = measured
        self.steps += 1
        return True

    def moment(self, timetag: int) -> int:
        """CLOCK_MONOTONIC nanoseconds of an NTP time tag."""
        return ntp.to_unix_ns(timetag) - self.offset

    def timetag(self, monotonic_ns: int) -> int:
        """The NTP time tag of a moment of CLOCK_MONOTONIC."""
        return ntp.from_unix_ns(monotonic_ns + self.offset)

    def _measure(self) -> int:
        # the narrowest of several brackets: being descheduled between the readings makes one wide
        best, offset = None, 0
        for _ in range(_BRACKETS):
            before = self._monotonic()
            wall = self._realtime()
            width = self._monotonic() - before
            if best is None or width < best:
                best, offset = width, wall - before - width // 2
        return offset


class EngineClock:
    """Converts between CLOCK_MONOTONIC, time tags and samples."""

    def __init__(self, link: RemoteEngine, wall: WallClock, now_ns: Callable[[], int]) -> None:
        self._link = link
        self.wall = wall
        self.now_ns = now_ns

    def moment(self) -> Moment:
        """The present sample and beat."""
        return Moment(self._link.sample_at(self.now_ns()), self._link.tempo_now()[0])

    def when(self, timetag: int) -> Sample:
        """Engine sample of an NTP time tag; `RequestError` where it is over `HORIZON` seconds ahead."""
        target = self.wall.moment(timetag)
        ahead = (target - self.now_ns()) / 1e9
        if ahead > HORIZON:
            raise RequestError(
                f"a time tag may be at most {HORIZON:g} s ahead, this one is {ahead:.0f} s; check the clock"
            )
        return Sample(round(self._link.sample_at(target)))
