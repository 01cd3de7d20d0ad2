"""Worker of `follow`: the beats of one stream of sound per slot."""

from __future__ import annotations

import numpy as np
import soxr

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.workers import ReportingStepper
from antiphon_follow.evidence import RATE
from antiphon_follow.ranges import meters_of, range_of
from antiphon_follow.sound import SoundBeats

HOP = 1024
"""Frames of a hop at the stream's own rate: 21 ms at 48 kHz."""
PHASE, PERIOD, PLACE, METER, SURENESS, FIELDS = range(6)
"""Indices in an answer: place within the beat at the hop's end, seconds of a beat, beat of the bar, its beats, and how
sure that is; 0 where nothing sounds."""


class BeatStream:
    """Beats of one stream. `config`: its range and meter, as "60-200 auto"."""

    def __init__(self, rate: int, config: str) -> None:
        limits, _, meter = config.partition(" ")
        self._rate, self._frames, self._mix = rate, 0, ListeningMix.live(rate)
        self._resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
        self._beats = SoundBeats(*range_of(limits or "50-200"), meters_of(meter or "auto"))

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the estimates at its end."""
        self._frames += sound.shape[1]
        piece: F32 = np.asarray(self._resampler.resample_chunk(self._mix.take(sound)), np.float32)
        beats = self._beats
        if beats.feed(piece):
            beats.filter.read()
        found = beats.filter
        late = (self._frames / self._rate - beats.seconds) / found.period
        into.fill(0.0)
        into[PHASE], into[PERIOD] = found.phase + late, found.period
        into[PLACE], into[METER] = found.place, found.meter
        into[SURENESS] = found.sureness if beats.heard else 0.0


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
