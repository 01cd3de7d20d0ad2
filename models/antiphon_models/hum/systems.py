"""`hum` as evaluated: in its modes, on files and live; and its note model given the true pitch."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from antiphon.api import F32, F64, note_number
from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.signal import CENTRE, HOP, Decimator, MedianPitch
from antiphon_hum.learned import tables
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.processor import BEND_RANGE
from antiphon_hum.tracking.tracker import PITCH_LAG, NoteTracker, TrackerSettings
from antiphon_hum.transcription.notes import StreamTranscriber
from antiphon_models.hum.testset import RATE, Clip
from antiphon_models.learning.user_commands import run_to_notes
from antiphon_models.material.singing import PERIOD
from antiphon_models.material.sounds import resampled

# ---- Peer systems of `hum`: one note, librosa's pYIN with segmentation, and Basic Pitch for chords

Found = list[tuple[float, float, float]]
"""Notes as rows: start and end in seconds, and MIDI number."""
PEER_RATE, PEER_HOP, FRAME = 22050, 256, 2048
"""librosa's own rate, and the frames of its trackers."""
MIN_NOTE_SECONDS = 0.06
"""Minimum length of a note in seconds."""


def cut(pitch: F64, level: F64, seconds: float) -> Found:
    """Notes of a pitch track, split where the rounded five-frame median pitch changes, or after a gap.

    pitch: MIDI numbers, NaN unvoiced.  level: dB.  seconds: a frame's.
    """
    padded = np.pad(pitch, 2, constant_values=np.nan)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 5)
    there = np.isfinite(frames).sum(axis=1) >= 3
    smooth = np.full(len(pitch), np.nan)
    smooth[there] = np.nanmedian(frames[there], axis=1)
    keys = np.where(np.isfinite(smooth) & (level > -60.0), np.round(np.nan_to_num(smooth)), -1).astype(int)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
    return [
        (float(a) * seconds, float(b) * seconds, float(np.nanmedian(smooth[a:b])))
        for a, b in pairwise(edges)
        if keys[a] >= 0 and (b - a) * seconds >= MIN_NOTE_SECONDS
    ]


def _level(sound: F32, frames: int) -> F64:
    librosa = import_librosa()
    rms = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=PEER_HOP)[0][:frames]
    return np.asarray(20.0 * np.log10(np.maximum(rms, 1e-9)), np.float64)


def pyin(sound: F32, rate: int) -> Found:
    """librosa.pyin, 65 to 2093 Hz."""
    librosa = import_librosa()
    x = resampled(sound, rate, PEER_RATE)
    hz, voiced, _ = librosa.pyin(x, fmin=65.4, fmax=2093.0, sr=PEER_RATE, frame_length=FRAME, hop_length=PEER_HOP)
    pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, hz, 440.0)), np.nan)
    return cut(pitch, _level(x, len(pitch)), PEER_HOP / PEER_RATE)


def single_note(sound: F32, rate: int) -> Found:
    return [(0.0, len(sound) / rate, 60.0)]


def basic_pitch(sound: F32, rate: int) -> Found:
    """Basic Pitch (Bittner et al., 2022) at its defaults."""
    import soundfile
    from basic_pitch.inference import predict

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/in.wav"
        soundfile.write(path, sound, rate, "FLOAT")
        _, _, notes = predict(path)
    return [(float(start), float(end), float(number)) for start, end, number, *_ in notes]


PEERS: dict[str, Callable[[F32, int], Found]] = {
    "one note": single_note,
    "librosa pyin": pyin,
    "Basic Pitch": basic_pitch,
}


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
