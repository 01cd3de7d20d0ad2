"""Engine clock as read by control: the present moment, and the sample of a time tag."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.kernel.control.commands.wall_clock import WallClock
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import RequestError
from antiphon.kernel.session.commands import Sample
from antiphon.kernel.session.schedule import HORIZON, Moment


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
        """Converts an NTP time tag to a sample of the engine's clock.

        Raises RequestError: it is more than `HORIZON` seconds ahead.
        """
        target = self.wall.moment(timetag)
        ahead = (target - self.now_ns()) / 1e9
        if ahead > HORIZON:
            raise RequestError(
                f"a time tag may be at most {HORIZON:g} s ahead, this one is {ahead:.0f} s; check the clock"
            )
        return Sample(round(self._link.sample_at(target)))
