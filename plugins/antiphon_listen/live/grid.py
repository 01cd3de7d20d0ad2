"""Beats of a stream ahead of time: in each window the likely grids are tracked, and one goes on to the next beats.

The grids are those of files (`beats.hypotheses`), chosen by the same fitted line; one that goes on from what was told
before is preferred to an equally good one, so that the tempo does not turn back and forth between half and double.
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
"""Seconds of a window below which no beat is looked for."""
_FITTED = 8
"""Beats at a grid's end through which the line to the next ones is laid."""
_SETTLED = 4
"""Beats from the window's end behind which the odds of a downbeat do not change any more."""
_GOES_ON = 1.5
"""Added to the score of a grid that goes on from the last one."""
_STAYS = 0.3
"""Confidence from which a tempo that is known stays known: one near the least would come and go."""
_NEAR_PERIOD, _NEAR_PHASE = 0.08, 0.17
"""How far a grid's period and place, as shares of a period, may be off the last one's to go on from it."""
_KEPT = 0.985
"""Of the odds of a downbeat, each beat: about 64 beats count."""


class LiveGrid:
    """The beats of a stream, as known now.

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
        """Takes the newest window's curves, which begin at `start` seconds of the stream."""
        grids = beats.hypotheses(curves, SHORTEST)
        if not grids:
            return
        rows = np.array([beats.features(grid) for grid in grids])
        tables = self._tables
        scores = ((rows - tables.grid_mean) / tables.grid_spread) @ tables.grid_weights
        lines = [_line(grid) for grid in grids]
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
        """Adds the odds of those beats that have become old enough."""
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
        """Seconds of the stream of the first beat after `now`."""
        return self.beat + self.period * (math.floor((now - self.beat) / self.period) + 1.0)

    def place(self, at: float) -> int:
        """The place in its bar, from 0, of the beat at `at`."""
        number = self.count + round((at - self.beat) / self.period)
        return int((number - int(np.argmax(self._scores[self.meter]))) % self.meter)


def _line(grid: BeatGrid) -> tuple[float, float]:
    """Period and last beat of the line through the end of a grid."""
    last: F64 = grid.beats[-_FITTED:]
    places = np.arange(len(last)) - (len(last) - 1.0)
    slope, at = np.polyfit(places, last, 1, w=1.0 + 0.25 * (places + len(last)))
    return float(slope), float(at)
