"""`hum` as evaluated: in its modes, on files and live; and its note model given the true pitch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.api import F64, note_number
from antiphon.api.backends.signal import CENTRE, HOP, Decimator, MedianPitch
from antiphon_hum.learned import tables
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.processor import BEND_RANGE
from antiphon_hum.tracking.tracker import PITCH_LAG, NoteTracker, TrackerSettings
from antiphon_hum.transcription.notes import StreamTranscriber
from antiphon_models.hum.peers import PEERS, Found
from antiphon_models.hum.testset import RATE, Clip
from antiphon_models.learning.user_commands import run_to_notes
from antiphon_models.material.singing import PERIOD


@dataclass(frozen=True, slots=True)
class Result:
    """A transcription.

    `notes`: by seconds of the sound. The pitch of a live note is the one it was corrected to. `late`: latency of each
    note in seconds, live; None otherwise. `numbers`: seconds and MIDI number of each beginning and correction of a
    note, live, if known.
    """

    notes: Found
    late: float | None
    seconds: float
    numbers: Sequence[tuple[float, int]] = ()


System = Callable[[Clip], Result]


def peer(name: str) -> System:
    """A system that is not ours, a key of `PEERS`."""

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        return Result(PEERS[name](clip.sound, RATE), None, time.perf_counter() - begun)

    return run


def on_file(mode: str) -> System:
    """The MIDI file that `antiphon run hum IN OUT.mid -p mode=MODE` writes."""

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        song = run_to_notes("hum", clip.sound, RATE, {"mode": mode})
        seconds = time.perf_counter() - begun
        found = [note for track in song.tracks for note in track.notes]
        return Result([(song.seconds(n.start), song.seconds(n.end), float(n.number)) for n in found], None, seconds)

    return run


def live(mode: str) -> System:
    """Runs the tracker hop by hop, as a performer has it."""

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        transcriber = StreamTranscriber(RATE, 1, {"mode": mode})
        transcriber.feed(clip.sound[None])
        notes = [(n.start / RATE, n.end / RATE, float(n.number)) for n in transcriber.notes()]
        return Result(notes, transcriber.latency / RATE, time.perf_counter() - begun)

    return run


def learned_live() -> System:
    """The learned mode's live result from the answers to the whole sound, equal to those hop by hop, in less time.

    A correction by more than a bend's reach is another note, as the processor has it.
    """
    from antiphon_hum.learned.model_tracker import OfflineModel

    def run(clip: Clip) -> Result:
        begun = time.perf_counter()
        whole = OfflineModel()
        whole.feed(clip.sound[None])
        answers, _ = whole.end()
        decoder, late = NoteDecoder(Live()), latency(RATE)
        notes: Found = []
        numbers: list[tuple[float, int]] = []
        start, pitch, first = -1.0, -1.0, -1
        for hop, answer in enumerate(answers):
            decoder.step(answer)
            now = ((hop + 1) * whole.hop - 1) / RATE - late
            far = decoder.corrected is not None and abs(decoder.number - first) > BEND_RANGE
            if (decoder.ended or far) and pitch >= 0.0:
                notes.append((start, max(now, start + 0.02), pitch))
                pitch = -1.0
            if decoder.begun is not None or far:
                start, first = now, decoder.number
            if decoder.begun is not None or decoder.corrected is not None:
                numbers.append((now, decoder.number))
            if decoder.number >= 0:
                pitch = decoder.pitch
        if pitch >= 0.0:
            notes.append((start, clip.sound.shape[0] / RATE, pitch))
        return Result([n for n in notes if n[1] > 0.0], late, time.perf_counter() - begun, numbers)

    return run


def latency(rate: int) -> float:
    """Latency in seconds declared by the learned mode, where the engine computes its network."""
    from antiphon_hum.learned.model_tracker import SETTLING

    intake = Decimator(rate, tables.RATE, tables.HOP)
    hop = tables.HOP * intake.factor
    return ((tables.NEAR + SETTLING) * hop + intake.lag - 1) / rate


class TruePitch(MedianPitch):
    """Replaces the median pitch by the true pitch, `lag` hops late."""

    def __init__(self, hertz: F64, rate: float) -> None:
        self._hertz, self._rate = hertz, rate
        super().__init__(PITCH_LAG)

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
    tracker = NoteTracker(intake, TruePitch(clip.hertz, intake.rate))
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
