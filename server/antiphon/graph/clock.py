"""Musical and device time: the tempo map, and a delay-locked loop that follows the device.

Pure arithmetic; nobody sleeps here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_TEMPO, MAX_TEMPO = 10.0, 999.0
"""bpm, in patches, commands and files alike."""


@dataclass(slots=True)
class TempoMap:
    """Beats ↔ samples. One segment is in force: a constant tempo, or a ramp linear in beats.

    rate: frames per second.  The segment begins at (sample, beat) with `bpm`; a ramp goes to
    `end_bpm` over `ramp_beats` beats and stays there.
    """

    rate: int
    bpm: float = 120.0
    sample: int = 0
    beat: float = 0.0
    end_bpm: float = 120.0
    ramp_beats: float = 0.0
    playing: bool = True

    def beat_at(self, sample: int) -> float:
        if not self.playing:
            return self.beat
        minutes = (sample - self.sample) / (self.rate * 60.0)
        slope = self._slope
        if slope == 0.0:
            return self.beat + minutes * self.bpm
        ramp_minutes = math.log(self.end_bpm / self.bpm) / slope
        if minutes >= ramp_minutes:
            return self.beat + self.ramp_beats + (minutes - ramp_minutes) * self.end_bpm
        return self.beat + self.bpm / slope * math.expm1(slope * minutes)

    def sample_at(self, beat: float) -> float:
        """The sample at which `beat` falls; infinite while stopped before it."""
        gone = beat - self.beat
        if not self.playing:
            return float(self.sample) if gone <= 0.0 else math.inf
        slope = self._slope
        if slope == 0.0:
            minutes = gone / self.bpm
        elif gone >= self.ramp_beats:
            minutes = math.log(self.end_bpm / self.bpm) / slope + (gone - self.ramp_beats) / self.end_bpm
        else:
            minutes = math.log1p(max(gone * slope / self.bpm, -1.0 + 1e-12)) / slope
        return self.sample + minutes * self.rate * 60.0

    def tempo_at(self, sample: int) -> float:
        slope = self._slope
        if slope == 0.0:
            return self.bpm
        gone = self.beat_at(sample) - self.beat
        return self.end_bpm if gone >= self.ramp_beats else self.bpm + slope * gone

    def set_tempo(self, sample: int, bpm: float, beats: float = 0.0) -> None:
        """From `sample` on `bpm`, reached over `beats` beats."""
        self._rebase(sample)
        if beats > 0.0:
            self.end_bpm, self.ramp_beats = bpm, beats
        else:
            self.bpm = bpm
            self.end_bpm, self.ramp_beats = bpm, 0.0

    def set_transport(self, sample: int, playing: bool | None, beat: float | None) -> None:
        """Starts, stops, and moves to a beat, at `sample`."""
        self._rebase(sample)
        if beat is not None:
            self.beat = beat
        if playing is not None:
            self.playing = playing

    @property
    def _slope(self) -> float:
        if self.ramp_beats <= 0.0 or self.end_bpm == self.bpm:
            return 0.0
        return (self.end_bpm - self.bpm) / self.ramp_beats

    def _rebase(self, sample: int) -> None:
        beat, bpm = self.beat_at(sample), self.tempo_at(sample)
        gone = beat - self.beat
        left = self.ramp_beats - gone if self.playing else self.ramp_beats
        self.ramp_beats = max(0.0, left)
        self.bpm = bpm if self.ramp_beats > 0.0 else self.end_bpm
        self.beat, self.sample = beat, sample


class DelayLockedLoop:
    """Follows the times at which a device asked for blocks (Adriaensen, "Using a DLL to filter time", 2005).

    Feed it each block's first sample and the moment of its callback; `sample_at` is the smoothed line.
    A gap (a stalled device) restarts it. bandwidth: Hz; narrower is smoother and slower.
    """

    def __init__(self, rate: int, block: int, bandwidth: float = 0.5) -> None:
        self._rate, self._block = rate, block
        omega = 2.0 * math.pi * bandwidth * block / rate
        self._b, self._c = math.sqrt(2.0) * omega, omega * omega
        self._expected: float | None = None
        self._period = block * 1e9 / rate
        self.sample = 0
        self.time = 0.0

    @property
    def ns_per_sample(self) -> float:
        return self._period / self._block

    def update(self, sample: int, monotonic_ns: int) -> None:
        """Block that begins at `sample` was asked for at `monotonic_ns`."""
        if self._expected is None or sample != self.sample + self._block:
            self._restart(sample, monotonic_ns)
            return
        error = monotonic_ns - self._expected
        if abs(error) > 20 * self._period:
            self._restart(sample, monotonic_ns)
            return
        self.time = self._expected
        self.sample = sample
        self._expected += self._b * error + self._period
        self._period += self._c * error

    def _restart(self, sample: int, monotonic_ns: int) -> None:
        self.sample, self.time = sample, float(monotonic_ns)
        self._expected = monotonic_ns + self._period
