"""Notes that begin in polyphonic sound, for a score follower: at each onset the pitches that explain what is new."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32, F64
from antiphon_follow.evidence import RATE
from antiphon_follow.score_follower import ScoreOdds
from antiphon_follow.sound import heard_of

HOP, WINDOW, LONG = 256, 1024, 4096
"""Frames between two looks, of the window for onsets, and of that for pitches."""
LOW, HIGH, PARTIALS = 33, 100, 8
"""Lowest and highest pitch that is looked for, and partials of each."""
BEHIND, BEFORE = 7, 2
"""Looks after an onset at which its spectrum is taken, and before it that of what sounded."""
MOST, LEAST = 4, 0.4
"""Most notes of an onset, and least salience beside its first."""
_RISE, _USUAL, _GAP, _QUIET = 1.35, 0.02, 3, 1e-3
"""Rise of the spectrum, relative to the usual, that is an onset; share by which the usual follows; least looks between
two onsets; peak below which nothing is heard."""
_LEFT = 0.2
"""Share of a partial that is left for other pitches."""
SOUND_ODDS = ScoreOdds(missed=0.7, jump=140.0, spread=0.05, wander=0.08, error=0.08)
"""Odds for such notes, of which a third is missing and two of three are none."""


class SoundNotes:
    """Onsets and their pitches in a stream of sound at `RATE`; each is known `BEHIND` looks after it began."""

    def __init__(self) -> None:
        self._short, self._window = np.hanning(WINDOW).astype(np.float32), np.hanning(LONG).astype(np.float32)
        numbers = np.arange(LOW, HIGH + 1)
        hertz = 440.0 * 2.0 ** ((numbers - 69.0) / 12.0)
        bins = np.outer(hertz, np.arange(1, PARTIALS + 1)) * LONG / RATE
        self._bins = np.minimum(np.round(bins).astype(int), LONG // 2 - 2)
        self._weights = np.where(bins < LONG // 2 - 2, 0.84 ** np.arange(PARTIALS)[None], 0.0)
        self.clear()

    def clear(self) -> None:
        """Forgets all; time begins again at 0."""
        self._held = np.zeros(LONG, np.float32)
        self._looks, self._usual, self._since = 0, 0.0, _GAP
        self._rises = [0.0, 0.0]
        self._before = np.zeros(WINDOW // 2 + 1, np.float32)
        self._spectra: list[F32] = []
        self._waiting: list[int] = []

    @property
    def seconds(self) -> float:
        """Sound that was listened to."""
        return self._looks * HOP / RATE

    def feed(self, sound: F32) -> list[tuple[float, int]]:
        """Takes samples at `RATE`; returns (seconds, number) of notes that are known by now."""
        held, found = np.concatenate([self._held, heard_of(sound)]), list[tuple[float, int]]()
        while len(held) >= LONG + HOP:
            held = held[HOP:]
            found += self._look(held[:LONG])
        self._held = held
        return found

    def _look(self, sound: F32) -> list[tuple[float, int]]:
        self._looks += 1
        short = np.log1p(100.0 * np.abs(np.fft.rfft(sound[-WINDOW:] * self._short)) / WINDOW).astype(np.float32)
        rise = float(np.maximum(short - self._before, 0.0).sum())
        self._before = short
        self._spectra.append(np.abs(np.fft.rfft(sound * self._window)).astype(np.float32))
        del self._spectra[: -BEHIND - BEFORE - 4]
        earlier, last = self._rises
        loud = float(np.abs(sound[-WINDOW:]).max()) > _QUIET
        self._since += 1
        if loud and last > earlier and last >= rise and last > _RISE * self._usual and self._since > _GAP:
            self._waiting.append(self._looks - 1)
            self._since = 0
        self._usual += (rise - self._usual) * _USUAL
        self._rises = [last, rise]
        if self._waiting and self._looks >= self._waiting[0] + BEHIND:
            at = self._waiting.pop(0)
            new = self._spectra[-1] - self._spectra[max(0, len(self._spectra) - 1 - BEHIND - BEFORE)]
            seconds = (at * HOP - WINDOW // 2) / RATE
            return [(max(0.0, seconds), number) for number in self._pitches(np.maximum(new, 0.0))]
        return []

    def _pitches(self, new: F32) -> list[int]:
        """Pitches one after the other, each without the partials of those before it."""
        power = np.sqrt(new.astype(np.float64))
        found: list[int] = []
        first = 0.0
        for _ in range(MOST):
            near = np.maximum(np.maximum(power[self._bins - 1], power[self._bins]), power[self._bins + 1])
            salience: F64 = (near * self._weights).sum(axis=1)
            best = int(salience.argmax())
            first = first or float(salience[best])
            if salience[best] < LEAST * first or first <= 0.0:
                break
            found.append(LOW + best)
            for place in self._bins[best]:
                power[place - 1 : place + 2] *= _LEFT
        return found
