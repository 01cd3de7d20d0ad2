"""From hops of sound to notes: pitch, change, segments and judgement, each a few hops behind the one before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO
from antiphon_hum.decimator import HISTORY, HOP, Decimator
from antiphon_hum.tracking.candidates import Candidates
from antiphon_hum.tracking.note_classifier import DISCRIMINANTS, Judge, Look, look
from antiphon_hum.tracking.onset_flux import SIZE, Change
from antiphon_hum.tracking.pitch import PitchTrack, PlainPitch
from antiphon_hum.tracking.segment import Segmenter, Weights

F64 = NDArray[np.float64]
CENTRE = 300
"""Decimated samples by which a hop's end follows the sound its pitch is of."""
AGAIN = 10
"""Hops in which the same note does not begin twice."""
SHORT = 14
"""Hops of a note that may be the beginning of the next."""
SLURRED = 3
"""Change below which a note has no attack."""
MOVED = 2
"""Places of the segmenter a note may be moved by and be the same."""
RING = 64


class PitchSource(Protocol):
    """What a pitch track has to be. lag: hops by which what it says is late."""

    lag: int

    def reset(self) -> None: ...
    def step(self, found: F64, unvoiced: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Of a mode, in hops. pitch: lag of the pitch track.  notes: lag of the segmenter.  delay, after: see `Change`."""

    pitch: int
    notes: int
    delay: int
    after: int

    @property
    def lag(self) -> int:
        """Hops from a note's first to the one it is decided at."""
        return self.pitch + self.notes


TIMINGS = {"pyin": Timing(8, 26, 3, 4), "yin": Timing(4, 10, 1, 2)}


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What a performer may turn, as the tracker takes it.

    sensitivity: 0 to 1.  threshold: dB of full scale.  lowest, highest: MIDI numbers.  patience: ms a note may wait.
    """

    sensitivity: float = 0.5
    threshold: float = -70.0
    lowest: int = 36
    highest: int = 96
    patience: float = 100.0


class NoteTracker:
    """Notes of one stream. After each `step`: `ended`, whether the note that sounded ends `lag` hops before the
    newest, and `begun`, what begins there or None. `pitch` is the newest decided, a MIDI number, 0 for none.
    """

    def __init__(
        self,
        mode: str,
        intake: Decimator,
        weights: Weights | None = None,
        truth: Callable[[float, int], PitchSource] | None = None,
    ) -> None:
        """truth: makes what stands in for the pitch track, of rate and lag; then nothing is taken for speech."""
        timing = TIMINGS[mode]
        self.lag = timing.lag
        self.hop = HOP * intake.factor
        # a hop is complete at its last frame, and what is decided then began this long before
        self.behind = self.lag * self.hop + CENTRE * intake.factor + intake.lag - 1
        self._intake = intake
        self._seconds = HOP / intake.rate
        self._candidates = Candidates(intake.rate, plain=mode == "yin")
        self._track: PlainPitch | PitchTrack | PitchSource
        self._track = PlainPitch(timing.pitch) if mode == "yin" else PitchTrack(timing.pitch)
        if truth is not None:
            self._track = truth(intake.rate, timing.pitch)
        self._change = Change(intake.rate, timing.delay, timing.after)
        # the change at the hop after the pitch's: a rise is complete when the window is full of it
        self._wait = timing.pitch - 1 - self._change.lag
        self._rises = [0.0] * (self._wait + 1)
        self._segments = Segmenter(timing.notes, weights or Weights())
        self._pitches: F64 = np.zeros(RING, np.float64)
        self._levels: F64 = np.zeros(RING, np.float64)
        self._depths: F64 = np.ones(RING, np.float64)
        self._struck: F64 = np.zeros(RING, np.float64)
        self._places = np.arange(RING)
        self.judge = Judge(DISCRIMINANTS[mode] if truth is None else None)
        self.many = 0.0
        self.reset()

    def reset(self) -> None:
        """Forgets the past; the intake is reset by its owner."""
        for part in (self._track, self._change, self._segments, self.judge):
            part.reset()
        self._rises[:] = [0.0] * len(self._rises)
        self._pitches.fill(0.0)
        self._levels.fill(-90.0)
        self._depths.fill(1.0)
        self._struck.fill(0.0)
        self._hop = self._judged = 0
        self._place = -1
        self._age = 0
        self._again = AGAIN
        self._held = 0
        self._sounds = False
        self.pitch = 0.0
        self.ended = False
        self.begun: Look | None = None

    def step(self, settings: TrackerSettings, io: IO | None = None) -> None:
        """The intake has a full hop; what is asked of a worker is asked through `io`, here nothing."""
        newest = self._intake.newest(3 * HOP)
        power = float(np.dot(newest, newest)) / len(newest)
        level = 10.0 * math.log10(power + 1e-9)
        # what is far too soft has no pitch; margin for the parts of a note that are softer than its loudest
        low, high = float(settings.lowest), float(settings.highest)
        found = self._candidates.find(self._intake.body(HISTORY), low, high)
        if level < settings.threshold - 12.0:
            found[0] = 0.0
        unvoiced = 0.002 * 100.0 ** (0.5 - settings.sensitivity)
        self.pitch = self._track.step(found, unvoiced)
        self._rises.append(self._change.step(self._intake.newest(SIZE), power))
        rise = self._rises.pop(0)
        self._hop += 1
        place = self._hop % RING
        self._pitches[place] = self.pitch
        self._levels[place] = level
        self._depths[place] = self._candidates.depth
        self._struck[place] = rise
        self._segments.step(self.pitch, rise)
        self._decide(settings)

    def _decide(self, settings: TrackerSettings) -> None:
        path = self._segments.path
        first = int(path[0])
        self.ended, self.begun = False, None
        self._age += 1
        if self._age <= self._held:
            return
        if first < 0:
            self.ended, self._sounds = self._sounds, False
            self._place = -1
            return
        place = first % 1000
        again = first >= 2000 and self._age > self._again
        if self._place >= 0 and abs(place - self._place) <= MOVED and not again:
            self._place = place
            return
        self._place, self._age = place, 0
        self.ended, self._sounds = self._sounds, False
        self._again, self._held = AGAIN, 0
        seen = self._look()
        if self.judge.admits(seen, self._since(), settings.sensitivity, settings.threshold):
            self.begun = seen
            self._sounds = True

    def _since(self) -> float:
        """Seconds since the look before."""
        before, self._judged = self._judged, self._hop
        return (self._hop - before) * self._seconds

    def _look(self) -> Look:
        """What is known of the note that begins at the oldest hop of the path."""
        path = self._segments.path
        oldest = self._hop - self._segments.lag
        count = self._run(0)
        if count < SHORT and count < len(path) and path[count] >= 0:
            # what is this short and goes over into another without an attack is how the other one begins
            rise = max(self._struck[(oldest + n) % RING] for n in range(count - 1, count + 2))
            more = self._run(count)
            if rise < SLURRED and more >= count:
                self._place = int(path[count]) % 1000
                self._held = count + 1
                self._again = AGAIN + count
                return self._known(oldest + count, count, more)
        return self._known(oldest, 0, count)

    def _run(self, first: int) -> int:
        """Hops of the path from `first` on that are one note."""
        path, count = self._segments.path, 1
        while first + count < len(path) and 0 <= path[first + count] < 2000:
            count += 1
        return count

    def _known(self, oldest: int, first: int, count: int) -> Look:
        path = self._segments.path
        places = (self._places[:count] + oldest) % RING
        # levels are known at once, pitches only after the track's lag
        loud = (places - self._track.lag) % RING
        sustain = path[first : first + count] < 1000
        return look(
            self._pitches[places], sustain, self._levels[loud], self._depths[loud], self._seconds,
            first + count < len(path),
        )  # fmt: skip
