"""The tempo of a player, from when his notes begin."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Event

ONSETS, FEWEST = 24, 8
"""Notes whose beginnings are kept, and how many are needed."""
CHORD = 0.06
"""Seconds within which notes begin together."""
RANGE, STEPS = 0.3, 61
"""Share of the present tempo by which it may differ, in so many steps."""
REACH = 8.0
"""Beats between two notes that are compared, at most."""
NEAR = 0.25
"""Share of the tempo by which others are taken with less trust."""
CLEAR = 0.55
"""Mean agreement with the grid, at most 1, from which there is a tempo."""


class PlayerTempo:
    """Onsets on a grid of beats, eighths and sixteenths; no phase, tempos near the present one alone."""

    def __init__(self, rate: int) -> None:
        self._rate, self._times = rate, np.zeros(ONSETS)
        self._ratios = np.exp(np.linspace(-RANGE, RANGE, STEPS))
        self._prior = -((np.log(self._ratios) / NEAR) ** 2)
        self.count = 0

    def take(self, event: Event, sample: int) -> None:
        """Takes an event of a block that begins at `sample`; beginnings of notes count."""
        at = (sample + event.offset) / self._rate
        if event.kind != "on" or event.value <= 0.0 or (self.count and at - self._times[-1] < CHORD):
            return
        self._times[:-1] = self._times[1:]
        self._times[-1] = at
        self.count = min(ONSETS, self.count + 1)

    def clear(self) -> None:
        self.count = 0

    def report(self, io: IO, frame: int, tempo: float) -> None:
        """Reports the tempo where `drive` is on."""
        if io.at("drive", frame):
            io.report("player_tempo", self.find(tempo))

    def find(self, tempo: float) -> float:
        """The player's tempo near another one, bpm; 0 where it is not clear."""
        if self.count < FEWEST:
            return 0.0
        times = self._times[ONSETS - self.count :]
        gaps = (times[None] - times[:, None])[np.triu_indices(len(times), 1)]
        gaps = gaps[gaps < REACH * 60.0 / tempo]
        if not len(gaps):
            return 0.0
        beats = 2.0 * math.pi * np.outer(tempo / 60.0 * self._ratios, gaps)
        fits = (0.25 * np.cos(beats) + 0.5 * np.cos(2.0 * beats) + 0.25 * np.cos(4.0 * beats)).mean(axis=1)
        best = int(np.argmax(fits + 0.2 * self._prior))
        return float(tempo * self._ratios[best]) if fits[best] > CLEAR else 0.0
