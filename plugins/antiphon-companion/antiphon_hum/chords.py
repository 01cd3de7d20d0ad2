"""Live transcription of several notes at once: the network of Basic Pitch, hop by hop in a worker, and its notes."""

import math
from collections.abc import Callable

import numpy as np

from antiphon.api import F32, IO, Event, StreamSpec, WorkerError
from antiphon.api.backends.models import ModelInfo, StreamedChords
from antiphon.api.backends.signal import HIGHEST, LOWEST as LOWEST_SUNG, Decimator
from antiphon.api.backends.workers import WorkerClient, lead_for
from antiphon_hum.quantise import KeyFinder

LEAST_SHARE = 0.7
"""Lower limit of the factor on the thresholds of a sustained pitch, where no pitch is sure."""


class StreamedChords24(StreamedChords):
    """`StreamedChords` for sound at 24 kHz."""

    rate = 24000.0


RATES = {22050: "antiphon.networks.basic_pitch:StreamedChords", 24000: "antiphon_hum.chords:StreamedChords24"}
"""Sample rates in Hz that the network supports, and its classes."""
WAIT = 2
"""Number of hops after an onset's frame within which its pitch must sound."""
ONSET, SURE, SOUNDING = 0.65, 0.4, 0.3
"""Thresholds of an onset peak at a sensitivity of 0.5, of its pitch within `WAIT`, and of a sustained pitch. Chosen on
eight seconds of each of four songs, and strummed chords of a guitar."""
SENSITIVITY_RANGE = 0.4
"""Change of `ONSET` over the whole range of `sensitivity`."""
CLEAR, RECENT = 0.73, 24
"""Reference strength of the surest pitch in the last `RECENT` hops. If none reaches it, as in a distorted chord, `SURE`
and `SOUNDING` are lowered in proportion, down to `LEAST_SHARE`."""
GAP = 5
"""Hops that a pitch may be too weak without ending."""
LEVELS = 16
"""Number of hops over which the maximum level is taken as a note's level."""
MISSING = 10
"""Hops without an answer after which all notes are ended."""


def chord_model(rate: int) -> ModelInfo:
    """The network for sound at one of `RATES`."""
    where = RATES[rate]
    return ModelInfo(
        name=f"{StreamedChords.model}-{rate}",
        network=where,
        array_network=where,
        weights=StreamedChords.model,
        plugin="hum",
        rate=rate,
        hop=StreamedChords.hop,
        slots=1,
        devices=("cpu",),
        answer=StreamedChords.answer,
    )


CHORD_MODEL = chord_model(22050)


def chord_rate(rate: int) -> int:
    """Returns the rate of `RATES` that divides a rate; 0 for none."""
    return next((own for own in RATES if rate % own == 0), 0)


class ChordTracker:
    """Transcribes sound to several notes at once, `behind` input frames after they begin. `decimator`: its input.

    Notes are timed in hops from the last `reset`: any split into blocks gives the same events.
    """

    def __init__(self, spec: StreamSpec, node: int, velocity: Callable[[float, float], float]) -> None:
        """Allocates buffers and connects to the worker. `velocity`: by a level in dB and `dynamics`.

        Raises WorkerError: the network does not support this rate, or its worker could not be started.
        """
        own = chord_rate(spec.rate)
        if not own:
            raise WorkerError(f"it hears sound at multiples of {' or '.join(map(str, RATES))} Hz, not at {spec.rate}")
        self.decimator = decimator = Decimator(spec.rate, own, StreamedChords.hop)
        self._hop, self._rate, self._velocity = StreamedChords.hop * decimator.factor, spec.rate, velocity
        self.client = WorkerClient(chord_model(own).worker("cpu"), 1, lead_for(self._hop, spec.block), node)
        later = (StreamedChords.later + WAIT + StreamedChords.behind + self.client.lead) * self._hop
        self.behind = later + round(StreamedChords.ahead * own) * decimator.factor + decimator.lag - 1
        self._sent: F32 = np.zeros((1, 1, StreamedChords.hop), np.float32)
        self._onsets: F32 = np.zeros((WAIT + 2, StreamedChords.pitches), np.float32)
        self._notes: F32 = np.zeros((WAIT + 1, StreamedChords.pitches), np.float32)
        self._sure: F32 = np.zeros(StreamedChords.pitches, np.float32)
        self._surest: F32 = np.zeros(RECENT, np.float32)
        self._test, self._peaks = np.zeros(StreamedChords.pitches, np.bool_), np.zeros(StreamedChords.pitches, np.bool_)
        # of each pitch the number that was sent, -1 for none, the hops that it is weak, and those since it began
        self._numbers, self._weak, self._age = ([value] * StreamedChords.pitches for value in (-1, 0, 0))
        # an answer is about a hop as far back as the worker's lead
        self._levels = [-90.0] * (LEVELS + self.client.lead - 1)
        self._keys = KeyFinder()
        self._number = -1
        self._stop = False
        self.reset()

    def reset(self) -> None:
        """Clears the past; sounding notes are ended at the next block."""
        self._stop = True
        self.decimator.reset()
        self.client.reset()
        self._onsets.fill(0.0)
        self._notes.fill(0.0)
        self._surest.fill(0.0)
        self._levels[:] = [-90.0] * len(self._levels)
        self._missing = 0
        if self._number >= 0:
            self.client.begin(self._number)

    def process(self, io: IO) -> None:
        """Analyses a block, and emits the events that are due in it."""
        if self._number < 0:
            self._number = io.time.sample // self._hop
            self.client.begin(self._number)
        if self._stop:
            self._end_all(io, 0)
            self._keys.reset()
            self._stop = False
        sound, done = io.audio_in[0], 0
        while done < io.frames:
            done += self.decimator.take(sound, done, io.frames)
            if self.decimator.full:
                self._step(io, done - 1)
                self.decimator.turn()

    def _step(self, io: IO, last: int) -> None:
        """Sends the decimator's full hop and processes the answer that is due."""
        newest = self.decimator.newest(StreamedChords.hop)
        self._sent[0, 0] = newest
        self._levels.pop(0)
        self._levels.append(10.0 * math.log10(float(np.dot(newest, newest)) / StreamedChords.hop + 1e-9))
        self.client.send(self._number, self._sent, io)
        answers = self.client.take(self._number - self.client.lead, io)
        self._number += 1
        if answers is None:
            self._missing += 1
            if self._missing == MISSING:
                self._end_all(io, last)
                self._onsets.fill(0.0)
                io.report("note", -1.0)
                io.report("many", 0.0)
            return
        self._missing = 0
        notes = answers[0, 0, : StreamedChords.pitches]
        self._surest[self._number % RECENT] = notes.max()
        share = min(1.0, max(LEAST_SHARE, float(self._surest.max()) / CLEAR))
        self._end_weak(notes, share * SOUNDING, io, last)
        self._find_peaks(notes, answers[0, 0, StreamedChords.pitches :], share * SURE, io, last)

    def _end_all(self, io: IO, at: int) -> None:
        for pitch in range(StreamedChords.pitches):
            self._end(pitch, io, at)

    def _end(self, pitch: int, io: IO, at: int) -> None:
        if self._numbers[pitch] >= 0:
            io.emit(Event("off", at, self._numbers[pitch]))
            self._keys.add(StreamedChords.lowest + pitch, self._age[pitch] * self._hop / self._rate)
            self._numbers[pitch] = -1

    def _end_weak(self, notes: F32, least: float, io: IO, last: int) -> None:
        sounding, highest = 0, -1
        for pitch in range(StreamedChords.pitches):
            if self._numbers[pitch] >= 0:
                self._age[pitch] += 1
                self._weak[pitch] = 0 if notes[pitch] >= least else self._weak[pitch] + 1
                if self._weak[pitch] > GAP:
                    self._end(pitch, io, last)
                else:
                    sounding, highest = sounding + 1, self._numbers[pitch]
        io.report("note", float(highest))
        io.report("many", float(sounding > 1))

    def _find_peaks(self, notes: F32, onsets: F32, sure: float, io: IO, last: int) -> None:
        """Begins notes whose onset had its peak `WAIT` frames before the newest, and whose pitch has sounded since."""
        for ring, newest in ((self._notes, notes), (self._onsets, onsets)):
            for row in range(len(ring) - 1):
                ring[row] = ring[row + 1]
            ring[-1] = newest
        before, here, after = self._onsets[:3]
        peaks, test = self._peaks, self._test
        np.greater(here, ONSET - SENSITIVITY_RANGE * (float(io.at("sensitivity", last)) - 0.5), out=peaks)
        np.logical_and(peaks, np.greater_equal(here, before, out=test), out=peaks)
        np.logical_and(peaks, np.greater(here, after, out=test), out=peaks)
        np.max(self._notes, axis=0, out=self._sure)
        np.logical_and(peaks, np.greater_equal(self._sure, sure, out=test), out=peaks)
        if not peaks.any() or (level := max(self._levels[:LEVELS])) <= float(io.at("threshold", last)):
            return
        low, high = sorted((int(io.at("lowest", last)), int(io.at("highest", last))))
        # the ends of their range are a voice's, and leave out no note of a piano
        low, high = (0 if low == LOWEST_SUNG else low), (127 if high == HIGHEST else high)
        strength = self._velocity(level, float(io.at("dynamics", last)))
        for pitch in range(StreamedChords.pitches):
            if peaks[pitch] and low <= StreamedChords.lowest + pitch <= high:
                self._end(pitch, io, last)
                key, scale = str(io.at("key", last)), str(io.at("scale", last))
                number = self._keys.number(StreamedChords.lowest + pitch, key, scale)
                for other in range(StreamedChords.pitches):  # a scale moves two pitches to one number
                    if self._numbers[other] == number:
                        self._end(other, io, last)
                self._numbers[pitch] = number
                self._weak[pitch] = self._age[pitch] = 0
                io.emit(Event("on", last, number, strength))
