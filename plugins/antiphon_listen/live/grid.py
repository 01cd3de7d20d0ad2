"""Beat prediction of a stream: in each window the likely grids are tracked, and the best is extrapolated.

The grids are those of files (`beats.hypotheses`), selected by the same fitted line; one that continues the previous
grid is preferred to an equally good one, so that the tempo does not alternate between half and double.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F64
from antiphon_listen import beats
from antiphon_listen.bars import METERS, RARE, bar_odds
from antiphon_listen.beats import BeatGrid
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

SHORTEST = 2.5
"""Minimum seconds of a window for beat tracking."""
_FITTED = 8
"""Beats at a grid's end used in the line fit for extrapolation."""
_SETTLED = 4
"""Beats before the window's end beyond which downbeat odds are final."""
_GOES_ON = 1.5
"""Score bonus of a grid that continues the last one."""
_STAYS = 0.3
"""Minimum confidence to keep a known tempo: hysteresis below the threshold of a new one."""
_NEAR_PERIOD, _NEAR_PHASE = 0.08, 0.17
"""Maximum deviation of period and phase, as shares of a period, of a continuing grid."""
_KEPT = 0.985
"""Decay of the downbeat odds per beat: about 64 beats count."""


class LiveGrid:
    """Present beat estimate of a stream.

    Attributes:
        period: Seconds of a beat; 0 where no beat is known.
        beat: Seconds of the stream of one beat near its end.
        count: That beat's number.
        meter: Beats of a bar.
        sure: Whether that is a tempo, by the rule of files: noise and speech have a most likely period too.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.grid: BeatGrid | None = None
        self.forget()

    def forget(self) -> None:
        """Resets the grid, after silence."""
        self.period, self.beat, self.count, self.meter = 0.0, 0.0, 0, 4
        self.grid, self.sure = None, False
        self._scores = {meter: np.zeros(meter) for meter in METERS}
        self._weighed = 0

    def update(self, curves: MusicCurves, start: float) -> None:
        """Processes the newest window's curves, which begin at `start` seconds of the stream."""
        grids = beats.hypotheses(curves, SHORTEST)
        if not grids:
            return
        lines = [_line(grid) for grid in grids]
        scores = beats.likely(grids, curves, self._tables)
        scores = scores + np.array([_GOES_ON * self._goes_on(period, start + last) for period, last in lines])
        best = int(np.argmax(scores))
        self._take(grids[best], *lines[best], start)
        self.sure = beats.confidence(curves, grids[best]) >= (_STAYS if self.sure else beats.LEAST)
        self._weigh(curves, grids[best], start)

    def _goes_on(self, period: float, last: float) -> bool:
        if not self.period or abs(math.log(period / self.period)) > _NEAR_PERIOD:
            return False
        off = (last - self.beat) / self.period
        return abs(off - round(off)) < _NEAR_PHASE

    def _take(self, grid: BeatGrid, period: float, last: float, start: float) -> None:
        at = start + last
        if not self._goes_on(period, at):
            for row in self._scores.values():
                row[:] = 0.0
            self._weighed = self.count
        self.count += round((at - self.beat) / self.period) if self.period else 0
        self.grid, self.period, self.beat = grid, period, at

    def _weigh(self, curves: MusicCurves, grid: BeatGrid, start: float) -> None:
        """Accumulates the odds of beats that have become final."""
        if len(grid.beats) < 2 * _SETTLED:
            return
        numbers = self.count + np.round((start + grid.beats - self.beat) / self.period).astype(int)
        odds = bar_odds(curves, grid, self._tables) + RARE
        for number, odd in zip(numbers[:-_SETTLED], odds[:-_SETTLED], strict=True):
            if number > self._weighed:
                self._weighed = int(number)
                for meter, row in self._scores.items():
                    row *= _KEPT
                    row[number % meter] += odd
        best = {
            meter: float(row.max()) + prior
            for (meter, prior), row in zip(METERS.items(), self._scores.values(), strict=True)
        }
        self.meter = max(best, key=lambda meter: best[meter])

    def next_beat(self, now: float) -> float:
        """Time in seconds of the stream of the first beat after `now`."""
        return self.beat + self.period * (math.floor((now - self.beat) / self.period) + 1.0)

    def place(self, at: float) -> int:
        """Position in its bar, from 0, of the beat at `at`."""
        number = self.count + round((at - self.beat) / self.period)
        return int((number - int(np.argmax(self._scores[self.meter]))) % self.meter)


def _line(grid: BeatGrid) -> tuple[float, float]:
    """Period and last beat of the line fitted to the end of a grid."""
    last: F64 = grid.beats[-_FITTED:]
    places = np.arange(len(last)) - (len(last) - 1.0)
    slope, at = np.polyfit(places, last, 1, w=1.0 + 0.25 * (places + len(last)))
    return float(slope), float(at)
