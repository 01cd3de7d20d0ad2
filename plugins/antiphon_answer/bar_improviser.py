"""Draws an answer note by note by the bar model: what the memory expects, corrected by the network. For one melody."""

from __future__ import annotations

import numpy as np

from antiphon_answer.bar_features import LAGS, MELODY, BarEvent, BarHistory
from antiphon_answer.bar_model import UNITS, BarModel
from antiphon_answer.bar_writing import ENOUGH
from antiphon_answer.improviser import FLOOR, Improviser
from antiphon_answer.memory import INTERVALS, TIMES
from antiphon_answer.prior import Prior

KEPT = 512
"""Notes of which the network may be told; older than the longest lag, half of them are forgotten."""


class BarImproviser(Improviser):
    """As `Improviser`, whose memory, key, ways to the end and limits of copies it has; only the chances differ.

    A note that is learnt costs the network one step of its GRU, a note that is drawn one more, and one answer for each
    time that is likely.
    """

    def __init__(self, prior: Prior, model: BarModel) -> None:
        self._model = model
        self._nothing = self._state = self._answer_state = np.zeros(UNITS, np.float32)
        self._played, self._answered = BarHistory(self, alone=True), BarHistory(self, alone=True)
        super().__init__(prior)

    def clear(self) -> None:
        super().clear()
        self._played.clear()
        self._state = self._nothing

    def learn(self, slot: int, pitch: int, velocity: float, first: bool = False, answered: int = 0) -> None:
        if first or self.slot < 0:
            self._played.clear()
            self._state = self._nothing
        super().learn(slot, pitch, velocity, first, answered)
        self._state = self._model.follow(self._state, self._played.take(BarEvent(MELODY, slot, pitch)))
        if self._played.count(MELODY) > KEPT:
            self._played.forget_before(slot - (max(LAGS) + 1) * self.wishes.bar)

    def begin(self, start: int, end: int, latest: int) -> bool:
        begun = super().begin(start, end, latest)
        if begun:
            self._answered.copy(self._played)
            self._answer_state = self._state
        return begun

    def _expect(self, low: int, high: int) -> None:
        memory, history, model = self.memory, self._answered, self._model
        memory.weights[: memory.count] = 1.0
        self._predict(self._going, self._at, self._now, self._step, self._wait)
        expected = self._chances.reshape(INTERVALS, TIMES).copy()
        knows = memory.count >= ENOUGH
        last = history.last[MELODY]
        if last is not None and last.slot != self._at:
            # a first note begins after a shorter time than has passed
            history.last[MELODY] = last._replace(slot=self._at)
        times = model.times(self._answer_state, history.time_rows(MELODY), expected.sum(axis=0) if knows else None)
        times[:low] = times[high + 1 :] = 0.0
        self._chances.fill(0.0)
        chances = self._chances.reshape(INTERVALS, TIMES)
        for time in np.flatnonzero(times >= FLOOR * times.max()):
            known = expected[:, time] if knows else None
            values = model.values(self._answer_state, history.value_rows(MELODY, int(time)), known)
            chances[:, time] = times[time] * values
        if self._present.any():
            pitches = (self._now + np.arange(INTERVALS) - INTERVALS // 2) % 12
            chances *= (0.2 + 4.0 * self._present[pitches])[:, None]

    def _go_on(self) -> None:
        event = BarEvent(MELODY, self._at, self._now)
        self._answer_state = self._model.follow(self._answer_state, self._answered.take(event))
