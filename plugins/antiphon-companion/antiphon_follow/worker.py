"""Workers of `follow`: one stream of sound per slot, tracked as beats, or as notes where a score is followed."""

from __future__ import annotations

import numpy as np
import soxr

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.workers import ReportingStepper
from antiphon_follow.clock import meters_of, range_of
from antiphon_follow.evidence import RATE
from antiphon_follow.sound import SoundBeats
from antiphon_follow.sound_notes import SoundNote, SoundNotes

HOP = 1024
"""Frames of a hop at the stream's own rate: 21 ms at 48 kHz."""
PHASE, PERIOD, PLACE, METER, SURENESS, FIELDS = range(6)
"""Indices in an answer: beat phase at the hop's end, beat period in seconds, beat of the bar, beats per bar, and
sureness, 0 in silence."""
MOST_NOTES, NOTE_FIELDS = 12, 3
"""Maximum notes in an answer (further ones come in the next), and number of values of each: note number, 0 for none and
negative if unsure (left out where there is no room); seconds since its onset; dB below the loudest."""


class ResampledStream:
    """A stream resampled to the rate of the networks, mono, hop by hop. `seconds`: its length so far."""

    def __init__(self, rate: int) -> None:
        self._rate, self._frames, self._mix = rate, 0, ListeningMix.live(rate)
        self._resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")

    def take(self, sound: Samples) -> F32:
        """Takes the next samples, and returns them as mono at the networks' rate."""
        self._frames += sound.shape[1]
        return np.asarray(self._resampler.resample_chunk(self._mix.take(sound)), np.float32)

    @property
    def seconds(self) -> float:
        return self._frames / self._rate


class BeatStream:
    """Beat tracker of one stream. `config`: range and meter, such as "60-200 auto"."""

    def __init__(self, rate: int, config: str) -> None:
        limits, _, meter = config.partition(" ")
        self._heard = ResampledStream(rate)
        self._beats = SoundBeats(*range_of(limits or "50-200"), meters_of(meter or "auto"))

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the estimates at its end."""
        beats = self._beats
        if beats.feed(self._heard.take(sound)):
            beats.filter.read()
        found = beats.filter
        late = (self._heard.seconds - beats.seconds) / found.period
        into.fill(0.0)
        into[PHASE], into[PERIOD] = found.phase + late, found.period
        into[PLACE], into[METER] = found.place, found.meter
        into[SURENESS] = found.sureness if beats.heard else 0.0


class NoteStream:
    """Note detector of one stream."""

    def __init__(self, rate: int) -> None:
        self._heard, self._notes = ResampledStream(rate), SoundNotes()
        self._waiting: list[SoundNote] = []

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the notes detected by its end."""
        found = self._notes.feed(self._heard.take(sound))
        self._waiting += [note for note in found if note.sure]
        into.fill(0.0)
        told = [*self._waiting[:MOST_NOTES], *(note for note in found if not note.sure)]
        for place, (at, number, sure, below) in enumerate(told[:MOST_NOTES]):
            into[NOTE_FIELDS * place :][:NOTE_FIELDS] = number if sure else -number, self._heard.seconds - at, below
        del self._waiting[:MOST_NOTES]


class NoteStepper(ReportingStepper[NoteStream]):
    """`Stepper` with one stream of notes per slot."""

    def stream(self, config: str) -> NoteStream:
        return NoteStream(self.spec.rate)

    def warm(self) -> None:
        """Loads the network, and runs it once."""
        stream, into = NoteStream(self.spec.rate), np.zeros(NOTE_FIELDS * MOST_NOTES, np.float32)
        for number in range(8):
            stream.step(number, np.zeros(self.spec.inputs, np.float32), into)


class FollowStepper(ReportingStepper[BeatStream]):
    """`Stepper` with one stream per slot."""

    def stream(self, config: str) -> BeatStream:
        return BeatStream(self.spec.rate, config)

    def warm(self) -> None:
        """Compiles the kernels."""
        rate, (channels, hop) = self.spec.rate, self.spec.inputs
        noise = np.random.default_rng(1).uniform(-0.1, 0.1, (channels, hop)).astype(np.float32)
        stream, into = BeatStream(rate, ""), np.zeros(FIELDS, np.float32)
        for number in range(8):
            stream.step(number, noise, into)
