"""Tempo estimation from the player's note onsets."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Event

ONSETS, MIN_COUNT = 24, 8
"""Number of stored onsets, and minimum number."""
CHORD_SECONDS = 0.06
"""Maximum seconds between notes of a chord."""
RANGE, STEPS = 0.3, 61
"""Search range relative to the present tempo, and number of steps."""
MAX_BEAT_DISTANCE = 8.0
"""Maximum beats between compared notes."""
PRIOR_WIDTH = 0.25
"""Width of the tempo prior, relative to the present tempo."""
MIN_AGREEMENT = 0.55
"""Minimum mean agreement with the grid, at most 1, of a tempo."""


class PlayerTempo:
    """Onsets on a grid of beats, eighths and sixteenths; no phase, tempos near the present one alone."""

    def __init__(self, rate: int) -> None:
        self._rate, self._times = rate, np.zeros(ONSETS)
        self._ratios = np.exp(np.linspace(-RANGE, RANGE, STEPS))
        self._prior = -((np.log(self._ratios) / PRIOR_WIDTH) ** 2)
        self.count = 0

    def take(self, event: Event, sample: int) -> None:
        """Processes an event of a block that begins at `sample`; only note-ons count."""
        at = (sample + event.offset) / self._rate
        if event.kind != "on" or event.value <= 0.0 or (self.count and at - self._times[-1] < CHORD_SECONDS):
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
        """Player's tempo near another one, bpm; 0 where it is not clear."""
        if self.count < MIN_COUNT:
            return 0.0
        times = self._times[ONSETS - self.count :]
        gaps = (times[None] - times[:, None])[np.triu_indices(len(times), 1)]
        gaps = gaps[gaps < MAX_BEAT_DISTANCE * 60.0 / tempo]
        if not len(gaps):
            return 0.0
        beats = 2.0 * math.pi * np.outer(tempo / 60.0 * self._ratios, gaps)
        fits = (0.25 * np.cos(beats) + 0.5 * np.cos(2.0 * beats) + 0.25 * np.cos(4.0 * beats)).mean(axis=1)
        best = int(np.argmax(fits + 0.2 * self._prior))
        return float(tempo * self._ratios[best]) if fits[best] > MIN_AGREEMENT else 0.0
