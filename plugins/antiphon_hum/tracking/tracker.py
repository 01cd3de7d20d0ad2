"""From hops of sound to notes: pitch, onset flux and segmentation, each a few hops late."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64, IO
from antiphon.api.backends.signal import CENTRE, HISTORY, HOP, Decimator, MedianPitch, Yin
from antiphon_hum.tracking.onset_flux import SIZE, OnsetFlux
from antiphon_hum.tracking.segment import Segmenter

SETTLED, FALLING = 0.45, 0.1
"""Parts of the known sustain, at its start and at its known end, that are left out of the note's pitch."""
MIN_VOICED = 6
"""Least number of voiced hops of a note: 32 to 35 ms."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a candidate when it has to be decided on.

    `pitch`: median of its sustain, a MIDI number; `level`: level of its loudest hop, dB.
    """

    pitch: float
    level: float


def candidate(pitches: F64, sustain: NDArray[np.bool_], levels: F64, whole: bool) -> Candidate | None:
    """The candidate of `n` known hops of pitch (0: unvoiced), whether they are past the attack, and level in dB.

    None where fewer than `MIN_VOICED` are voiced. `whole`: it ends within these hops.
    """
    voiced = pitches > 0.0
    if np.count_nonzero(voiced) < MIN_VOICED:
        return None
    sustained = voiced & sustain
    chosen = pitches[sustained] if np.count_nonzero(sustained) >= 4 else pitches[voiced]
    begin, end = int(SETTLED * len(chosen)), len(chosen) - (int(FALLING * len(chosen)) if whole else 0)
    return Candidate(_median(chosen[begin:end]), float(levels.max()))


def _median(values: F64) -> float:
    """The median. `numpy.median` imports a package at its first call, and this runs on the block path."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle]) if len(values) % 2 else 0.5 * float(ordered[middle - 1] + ordered[middle])


AGAIN = 10
"""Hops after a note's start in which the same note cannot begin again."""
PITCH_LAG, NOTE_LAG = 4, 10
"""Lags of the pitch and of the segmenter, hops."""
SLURRED = 3
"""Onset flux below which a note has no attack."""
MOVED = 2
"""Places of the segmenter by which the same note may shift."""
RING = 64


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """The parameters of `hum` that a tracker reads; `sensitivity`, `patience`, `lead`: mode learned alone."""

    sensitivity: float = 0.5
    threshold: float = -70.0
    lowest: int = 36
    highest: int = 96
    patience: float = 100.0
    lead: bool = False


class NoteTracker:
    """Notes of one stream in mode `yin`; `corrected` is always None.

    After `step`: whether the sounding note has `ended` `lag` hops before the newest, the note that has `begun` there or
    None, and the newest decided `pitch`, a MIDI number, 0 for none. `behind`: `lag` in input frames, decimation
    included.
    """

    def __init__(self, decimator: Decimator, track: MedianPitch | None = None) -> None:
        """Allocates buffers; the caller fills and resets the decimator. `track` is `PITCH_LAG` hops late."""
        self.lag = PITCH_LAG + NOTE_LAG
        self.hop = HOP * decimator.factor
        # a note decided at a hop's last frame began this many frames before
        self.behind = self.lag * self.hop + CENTRE * decimator.factor + decimator.lag - 1
        self._decimator = decimator
        self._yin = Yin(decimator.rate)
        self._track = track or MedianPitch(PITCH_LAG)
        self._flux = OnsetFlux(decimator.rate)
        self._segments = Segmenter(NOTE_LAG)
        self._pitches: F64 = np.zeros(RING, np.float64)
        self._levels: F64 = np.zeros(RING, np.float64)
        self._rise_ring: F64 = np.zeros(RING, np.float64)
        self._places = np.arange(RING)
        self.many = 0.0
        self.corrected: float | None = None
        self.reset()

    def reset(self) -> None:
        """Clears the past; the caller resets the decimator."""
        for part in (self._track, self._flux, self._segments):
            part.reset()
        self._rise = 0.0
        self._pitches.fill(0.0)
        self._levels.fill(-90.0)
        self._rise_ring.fill(0.0)
        self._hop = 0
        self._place = -1
        self._age = 0
        self._again = AGAIN
        self._skip_until = 0
        self._sounding = False
        self.pitch = 0.0
        self.ended = False
        self.begun: Candidate | None = None

    def step(self, settings: TrackerSettings, io: IO | None = None) -> None:
        """Processes the decimator's full hop; `io` is ignored."""
        newest = self._decimator.newest(3 * HOP)
        power = float(np.dot(newest, newest)) / len(newest)
        level = 10.0 * math.log10(power + 1e-9)
        low, high = float(settings.lowest), float(settings.highest)
        # a margin below the threshold for the parts of a note that are softer than its loudest
        loud = level >= settings.threshold - 12.0
        self.pitch = self._track.step(self._yin.find(self._decimator.body(HISTORY), low, high) if loud else 0.0)
        # aligned to the hop after the pitch's: a rise is complete when the window is full of it
        rise, self._rise = self._rise, self._flux.step(self._decimator.newest(SIZE), power)
        self._hop += 1
        place = self._hop % RING
        self._pitches[place] = self.pitch
        self._levels[place] = level
        self._rise_ring[place] = rise
        self._segments.step(self.pitch, rise)
        self._decide(settings)

    def _decide(self, settings: TrackerSettings) -> None:
        path = self._segments.path
        first = int(path[0])
        self.ended, self.begun = False, None
        self._age += 1
        if self._age <= self._skip_until:
            return
        if first < 0:
            self.ended, self._sounding = self._sounding, False
            self._place = -1
            return
        place = first % 1000
        again = first >= 2000 and self._age > self._again
        if self._place >= 0 and abs(place - self._place) <= MOVED and not again:
            self._place = place
            return
        self._place, self._age = place, 0
        self.ended, self._sounding = self._sounding, False
        self._again, self._skip_until = AGAIN, 0
        begun = self._candidate()
        if begun is not None and begun.level > settings.threshold:
            self.begun = begun
            self._sounding = True

    def _candidate(self) -> Candidate | None:
        """The candidate that begins at the oldest hop of the path."""
        path = self._segments.path
        oldest = self._hop - self._segments.lag
        count = self._run(0)
        if count < len(path) and path[count] >= 0:
            # a short note that leads into another without an attack is the scoop of the other one
            rise = max(self._rise_ring[(oldest + n) % RING] for n in range(count - 1, count + 2))
            more = self._run(count)
            if rise < SLURRED and more >= count:
                self._place = int(path[count]) % 1000
                self._skip_until = count + 1
                self._again = AGAIN + count
                return self._known(oldest + count, count, more)
        return self._known(oldest, 0, count)

    def _run(self, first: int) -> int:
        """Hops of the path from `first` on that belong to one note."""
        path, count = self._segments.path, 1
        while first + count < len(path) and 0 <= path[first + count] < 2000:
            count += 1
        return count

    def _known(self, oldest: int, first: int, count: int) -> Candidate | None:
        path = self._segments.path
        places = (self._places[:count] + oldest) % RING
        # levels have no lag, pitches have the track's
        loud = (places - self._track.lag) % RING
        sustain = path[first : first + count] < 1000
        return candidate(self._pitches[places], sustain, self._levels[loud], first + count < len(path))
