"""`hum` as evaluated: in its modes, on files and live; and its note model given the true pitch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import note_number
from antiphon.api.workers import lead_for
from antiphon_hum.decimator import HOP, Decimator
from antiphon_hum.learned import spec
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.tracking.tracker import CENTRE, NoteTracker, TrackerSettings
from antiphon_hum.transcription.notes import StreamTranscriber, notes_of
from antiphon_models.hum.material import PERIOD
from antiphon_models.hum.peers import PEERS, Found
from antiphon_models.hum.testset import RATE, Clip

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
BLOCK = 256


@dataclass(frozen=True, slots=True)
class Result:
    """A transcription.

    Attributes:
        notes: By seconds of the sound.
        late: Latency of each note in seconds, live; None otherwise.
        seconds: Computing time.
    """

    notes: Found
    late: float | None
    seconds: float


System = Callable[[Clip], Result]


def peer(name: str) -> System:
    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        return Result(PEERS[name](clip.sound, RATE), None, time.perf_counter() - begun)

    return run


def on_file(mode: str) -> System:
    """As `antiphon run` has it do a file."""

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        found = notes_of(clip.sound, RATE, {"mode": mode})
        notes = [(n.start / RATE, n.end / RATE, n.pitch if n.pitch >= 0.0 else float(n.number)) for n in found]
        return Result(notes, None, time.perf_counter() - begun)

    return run


def live(mode: str) -> System:
    """As a performer has it, hop by hop."""

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        transcriber = StreamTranscriber(RATE, 1, {"mode": mode})
        transcriber.feed(clip.sound[None])
        notes = [(n.start / RATE, n.end / RATE, float(n.number)) for n in transcriber.notes()]
        return Result(notes, transcriber.latency / RATE, time.perf_counter() - begun)

    return run


def learned_live(patience: int | None = None) -> System:
    """The same from the answers to the whole sound, which are those hop by hop (a test sees to that), and in a
    hundredth of the time: a worker in lockstep waits for each hop. patience: hops.
    """
    from antiphon_hum.learned.offline_model import OfflineModel

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        whole = OfflineModel("learned")
        whole.feed(clip.sound[None])
        answers, _ = whole.end()
        decoder, late = NoteDecoder(Live()), latency(RATE)
        notes: Found = []
        start, pitch = -1.0, -1.0
        for hop, answer in enumerate(answers):
            decoder.step(answer, patience)
            # an answer is taken when the next hops are complete, one of them here
            now = ((hop + 1 + lead_for(whole.hop, BLOCK)) * whole.hop - 1) / RATE - late
            if decoder.ended and pitch >= 0.0:
                notes.append((start, max(now, start + 0.02), pitch))
                pitch = -1.0
            if decoder.begun is not None:
                start, pitch = now, decoder.begun
        if pitch >= 0.0:
            notes.append((start, clip.sound.shape[0] / RATE, pitch))
        return Result([n for n in notes if n[1] > 0.0], late, time.perf_counter() - begun)

    return run


def latency(rate: int) -> float:
    """Seconds that the learned mode says of itself at blocks of `BLOCK`."""
    from antiphon_hum.learned.model_tracker import SETTLING

    intake = Decimator(rate, spec.RATE, spec.HOP)
    hop = spec.HOP * intake.factor
    return ((spec.NEAR + SETTLING + lead_for(hop, BLOCK)) * hop + intake.lag - 1) / rate


class TruePitch:
    """Replaces the median pitch by the true pitch, `lag` hops late."""

    def __init__(self, hertz: F64, rate: float, lag: int) -> None:
        self.lag = lag
        self._hertz, self._rate = hertz, rate
        self.reset()

    def reset(self) -> None:
        self._hop = 0

    def step(self, pitch: float) -> float:
        self._hop += 1
        at = round(((self._hop - self.lag) * HOP - CENTRE) / self._rate * 1000.0 / PERIOD)
        hertz = self._hertz[at] if 0 <= at < len(self._hertz) else 0.0
        return note_number(hertz) if hertz > 0.0 else 0.0


def oracle(clip: Clip) -> Result:
    """The true pitch segmented by yin's note model."""
    begun = time.perf_counter()
    intake = Decimator(RATE)
    tracker = NoteTracker(intake, truth=lambda rate, lag: TruePitch(clip.hertz, rate, lag))
    x = np.concatenate([clip.sound, np.zeros(RATE // 3, np.float32)])[None]
    notes: Found = []
    at, hops, start, pitch = 0, 0, 0.0, -1.0
    while at < x.shape[1]:
        at += intake.take(x, at, x.shape[1])
        if not intake.full:
            continue
        hops += 1
        tracker.step(TrackerSettings())
        intake.turn()
        now = ((hops - tracker.lag) * HOP - CENTRE) / intake.rate
        if tracker.ended and pitch >= 0.0:
            notes.append((start, max(now, start + 0.01), float(round(pitch))))
            pitch = -1.0
        if tracker.begun is not None:
            start, pitch = now, tracker.begun.pitch
    if pitch >= 0.0:
        notes.append((start, len(clip.sound) / RATE, float(round(pitch))))
    return Result(notes, None, time.perf_counter() - begun)
