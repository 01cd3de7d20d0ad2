"""Musical time: tempo map and swing. Arithmetic only: nothing in this module reads a clock or blocks."""

import math
from dataclasses import dataclass

MIN_TEMPO, MAX_TEMPO = 10.0, 999.0
"""Range of the tempo in patches, commands and files, bpm."""
MAX_SWING = 0.75
"""Maximum swing, as a share of a step; 1/3 is triplet swing, 1/2 dotted."""
MIN_STEP, MAX_STEP = 1.0 / 16.0, 4.0
"""Range of the swing step, in beats."""
EIGHTH = 0.5
"""Default swing step: an eighth, in beats."""
CATCH, MAX_CATCH = 2.0, 0.08
"""Fraction of the lag in beats that a steered clock makes up per beat, and its maximum, as a share of the tempo."""
SET_BACK = 1.0
"""Beats by which the beat is set back that end the notes which began at a beat."""
BAR, MAX_BAR = 4, 64
"""Default and maximum beats of a bar."""


def swing_beat(beat: float, swing: float, step: float) -> float:
    """Beat of the clock at which an event notated at `beat` falls, with swing.

    Steps come in pairs from beat 0 on. The first of a pair is lengthened by the share `swing`, the second is shortened
    by the same length, and events within a step move in proportion. So every second step begins late by `swing` times
    `step`; whole pairs and the order of events stay. `swing`: 0 to `MAX_SWING`. `step`: beats, `MIN_STEP` to
    `MAX_STEP`.
    """
    if swing == 0.0 or math.isinf(beat):
        return beat
    first = math.floor(beat / (2.0 * step)) * 2.0 * step
    within = beat - first
    if within < step:
        return first + within * (1.0 + swing)
    return first + step * (1.0 + swing) + (within - step) * (1.0 - swing)


def beat_without_swing(beat: float, swing: float, step: float) -> float:
    """Inverse of `swing_beat`: the notated beat of an event that falls at `beat` of the clock."""
    if swing == 0.0 or math.isinf(beat):
        return beat
    first = math.floor(beat / (2.0 * step)) * 2.0 * step
    within = beat - first
    if within < step * (1.0 + swing):
        return first + within / (1.0 + swing)
    return first + step + (within - step * (1.0 + swing)) / (1.0 - swing)


@dataclass(frozen=True, slots=True)
class TempoLine:
    """Beats at a constant tempo: `beat + (minutes since sample - after) * bpm`, in this order of operations."""

    sample: int  # the sample from which minutes count
    beat: float  # the beat there, or at the end of a ramp
    after: float  # minutes of the ramp
    bpm: float  # the tempo; 0 while the transport stands still


@dataclass(slots=True)
class TempoMap:
    """Converts between beats and samples. Holds one segment: a constant tempo, or a ramp that is linear in beats."""

    # Goal: beat and sample are functions of each other, without an error that grows from block to block.
    # Plan: in a ramp the tempo is linear in beats, d(beat)/d(minute) = bpm + slope * beats, so that beats are an
    # exponential of time and time a logarithm of beats. `expm1` and `log1p` keep what a short time or a small slope
    # would lose beside 1.
    # Warning: a change of tempo begins a new segment at its sample (`_rebase`); nothing asks for what lies before it.
    rate: int  # Hz
    bpm: float = 120.0
    sample: int = 0  # sample at the segment's start
    beat: float = 0.0  # beat at the segment's start
    end_bpm: float = 120.0
    ramp_beats: float = 0.0  # length of the ramp in beats; 0 for a constant tempo
    playing: bool = True  # whether beats advance
    swing: float = 0.0  # by which share of a step every second event is late (`swing_beat`); the beat is even
    step: float = EIGHTH  # the step that is swung, in beats
    waits: int = 0  # number of the node that begins the clock, which stands until then; 0 where none does

    def beat_at(self, sample: int) -> float:
        """The beat at a sample, not before the segment's start."""
        if not self.playing:
            return self.beat
        minutes = (sample - self.sample) / (self.rate * 60.0)
        slope = self._slope
        if slope == 0.0:
            return self.beat + minutes * self.bpm
        after = minutes - self._ramp_minutes
        if after >= 0.0:
            return self.beat + self.ramp_beats + after * self.end_bpm
        return self.beat + self.bpm / slope * math.expm1(slope * minutes)

    def line_at(self, sample: int) -> TempoLine | None:
        """Beat line from a sample until the map changes; None within a tempo ramp."""
        if not self.playing:
            return TempoLine(self.sample, self.beat, 0.0, 0.0)
        if self._slope == 0.0:
            return TempoLine(self.sample, self.beat, 0.0, self.bpm)
        length = self._ramp_minutes
        if (sample - self.sample) / (self.rate * 60.0) < length:
            return None
        return TempoLine(self.sample, self.beat + self.ramp_beats, length, self.end_bpm)

    def sample_at(self, beat: float) -> float:
        """Fractional sample at which a beat falls; infinite if the transport stops before it, or waits there."""
        elapsed = beat - self.beat
        if not self.playing:
            return float(self.sample) if elapsed < 0.0 or (elapsed == 0.0 and not self.waits) else math.inf
        slope = self._slope
        if slope == 0.0:
            minutes = elapsed / self.bpm
        elif elapsed >= self.ramp_beats:
            minutes = self._ramp_minutes + (elapsed - self.ramp_beats) / self.end_bpm
        else:
            minutes = math.log1p(max(elapsed * slope / self.bpm, -1.0 + 1e-12)) / slope
        return self.sample + minutes * self.rate * 60.0

    def sample_of_event(self, beat: float) -> float:
        """Fractional sample of an event notated at `beat`: `sample_at` with swing."""
        return self.sample_at(swing_beat(beat, self.swing, self.step))

    def notated_beat_at(self, sample: int) -> float:
        """Returns the notated beat of an event that falls on a sample: the inverse of `sample_of_event`."""
        return beat_without_swing(self.beat_at(sample), self.swing, self.step)

    def tempo_at(self, sample: int) -> float:
        """The tempo at a sample, bpm."""
        slope = self._slope
        if slope == 0.0:
            return self.bpm
        elapsed = self.beat_at(sample) - self.beat
        return self.end_bpm if elapsed >= self.ramp_beats else self.bpm + slope * elapsed

    def set_tempo(self, sample: int, bpm: float, beats: float = 0.0) -> None:
        """Changes the tempo at a sample to `bpm`, over `beats` beats; 0 changes it at once."""
        self._rebase(sample)
        if beats > 0.0:
            self.end_bpm, self.ramp_beats = bpm, beats
        else:
            self.bpm = bpm
            self.end_bpm, self.ramp_beats = bpm, 0.0

    def set_transport(self, sample: int, playing: bool | None, beat: float | None) -> None:
        """Starts or stops the transport and moves it to a beat, at a sample; None leaves either as it is."""
        self._rebase(sample)
        if beat is not None:
            self.beat = beat
        if playing is not None:
            self.playing, self.waits = playing, 0

    def wait(self, sample: int, node: int, beat: float | None = None) -> None:
        """Stops the clock from a sample on until that node steers it or the transport is started.

        `node`: its number, 0 to end the wait. `beat`: the beat to wait at, None for the present one.
        """
        if node:
            self.set_transport(sample, False, beat)
            self.waits = node
        elif self.waits:
            self.set_transport(sample, True, None)

    def steer(self, sample: int, tempo: float, ahead: float, skip: float) -> None:
        """Sets the tempo from a sample on, and makes up for `ahead` beats within about a beat, after skipping `skip`.

        The tempo stays within its range, and its correction within `MAX_CATCH` of it, so that no beat comes twice. A
        clock that waits starts, and may skip back. Nothing changes while the transport is stopped, nor by arguments
        that are not finite.
        """
        if not (self.playing or self.waits) or not math.isfinite(tempo + ahead + skip):
            return
        if skip > 0.0 or self.waits:
            self.set_transport(sample, True, self.beat_at(sample) + skip)
        bpm = tempo * (1.0 + min(max(CATCH * ahead, -MAX_CATCH), MAX_CATCH))
        bpm = min(max(bpm, MIN_TEMPO), MAX_TEMPO)
        if bpm != self.bpm or self.ramp_beats > 0.0:
            self.set_tempo(sample, bpm)

    @property
    def _slope(self) -> float:
        if self.ramp_beats <= 0.0 or self.end_bpm == self.bpm:
            return 0.0
        return (self.end_bpm - self.bpm) / self.ramp_beats

    @property
    def _ramp_minutes(self) -> float:
        """Length of the ramp in minutes, from the tempo difference: the quotient loses precision for close tempos."""
        return math.log1p((self.end_bpm - self.bpm) / self.bpm) / self._slope

    def _rebase(self, sample: int) -> None:
        beat, bpm = self.beat_at(sample), self.tempo_at(sample)
        left = self.ramp_beats - (beat - self.beat) if self.playing else self.ramp_beats
        self.ramp_beats = max(0.0, left)
        self.bpm = bpm if self.ramp_beats > 0.0 else self.end_bpm
        self.beat, self.sample = beat, sample
