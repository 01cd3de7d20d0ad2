"""Spectra of a song by frames: magnitudes, constant-Q magnitudes from C1, and pitch classes.

The method is that of Mauch and Dixon, "Approximate note transcription for the improved identification of difficult
chords" (ISMIR 2010): a log-frequency spectrum tuned to the recording, its local mean subtracted, and non-negative least
squares on a dictionary of harmonic notes; here solved by a fixed number of multiplicative updates.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

from antiphon.api import F32, note_number
from antiphon.api.backends.signal import hann


class FrameBuffer:
    """Splits a stream into frames of `size` samples, `hop` apart; frame k is centred on sample k * hop.

    `size`: samples of a frame; `hop`: samples from one frame to the next.
    """

    def __init__(self, size: int, hop: int) -> None:
        self.size, self.hop = size, hop
        self._held = np.zeros(size // 2, np.float32)

    def push(self, samples: F32) -> F32:
        """Frames completed by `samples`, `[n, size]`, read-only."""
        held = np.concatenate([self._held, samples])
        count = max(0, (len(held) - self.size) // self.hop + 1)
        self._held = held[count * self.hop :].copy()
        if count == 0:
            return np.zeros((0, self.size), np.float32)
        return np.asarray(np.lib.stride_tricks.sliding_window_view(held, self.size)[:: self.hop][:count])

    def end(self) -> F32:
        """Frames completed at the end, padded with zeros."""
        return self.push(np.zeros(self.size // 2, np.float32))


def magnitudes(frames: F32, window: F32) -> F32:
    """Magnitudes of the spectra of windowed frames, `[n, size // 2 + 1]`."""
    return np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32)


def mel_bank(rate: int, size: int, bands: int, low: float, high: float) -> F32:
    """Triangular filters on the mel scale of O'Shaughnessy (1987), of equal height, `[bands, size // 2 + 1]`."""
    edges = 700.0 * (np.exp(np.linspace(np.log1p(low / 700.0), np.log1p(high / 700.0), bands + 2)) - 1.0)
    bins = np.fft.rfftfreq(size, 1.0 / rate)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)


RATE, HOP = 22050, 2048
FRAMES_PER_SECOND = RATE / HOP
OCTAVES, BINS = 7, 36
"""Number of octaves, and number of bins in each."""
LOWEST_HZ = 440.0 * 2.0 ** (-45 / 12)
"""Frequency in Hz of the lowest bin, C1."""
_SIZE = 1024
"""Window size in samples, the maximum of kernel and hop."""


class ConstantQ:
    """Streaming constant-Q magnitudes `[n, OCTAVES * BINS]`, at `FRAMES_PER_SECOND`; all frames are stored."""

    def __init__(self) -> None:
        self._streams = [soxr.ResampleStream(2.0, 1.0, 1, dtype="float32", quality="HQ") for _ in range(OCTAVES)]
        self._frames = [FrameBuffer(_SIZE, HOP >> number) for number in range(1, OCTAVES + 1)]
        self._rows: list[list[NDArray[np.float16]]] = [[] for _ in range(OCTAVES)]
        self._kernels = _kernels()

    def feed(self, samples: F32, last: bool = False) -> None:
        """Processes the next samples, `[n]` at `RATE`; `last` ends the stream."""
        for number, (stream, frames) in enumerate(zip(self._streams, self._frames, strict=True)):
            samples = stream.resample_chunk(samples, last=last)
            found = [frames.push(samples), frames.end()] if last else [frames.push(samples)]
            # each octave is 3 dB louder than the one above it, as its kernels are twice as long
            scale = np.float32(2.0 ** (number / 2.0))
            for part in found:
                waves = (part @ self._kernels).reshape(len(part), 2, BINS)
                self._rows[number].append((np.hypot(waves[:, 0], waves[:, 1]) * scale).astype(np.float16))

    def end(self) -> F32:
        """Ends the sound; returns all frames, the lowest octave first."""
        self.feed(np.zeros(0, np.float32), last=True)
        octaves = [np.concatenate(rows) for rows in reversed(self._rows)]
        count = min(len(rows) for rows in octaves)
        return np.concatenate([rows[:count] for rows in octaves], axis=1).astype(np.float32)


def shift_into_tune(rows: F32, semitones: float) -> F32:
    """Shifts the frames of a sound that is `semitones` sharp into tune, by linear interpolation between bins."""
    place = np.clip(np.arange(rows.shape[1]) + semitones * BINS / 12.0, 0.0, rows.shape[1] - 1.0)
    low = np.minimum(place.astype(int), rows.shape[1] - 2)
    part = (place - low).astype(np.float32)
    return np.asarray(rows[:, low] * (1.0 - part) + rows[:, low + 1] * part)


def _kernels() -> F32:
    """Returns windowed cosines, then sines, of one octave, `[_SIZE, 2 * BINS]`, equal for each octave at its rate."""
    step = 2.0 ** (2.0 / BINS)
    quality = (step + 1.0) / (step - 1.0)
    top = 2 * LOWEST_HZ * 2.0 ** (OCTAVES - 1) / RATE
    table = np.zeros((_SIZE, 2 * BINS), np.float32)
    for number in range(BINS):
        turns = top * 2.0 ** (number / BINS)
        length = quality / turns
        places = np.arange(int(-length // 2), int(length // 2))
        window = hann(len(places))
        window *= np.sqrt(length) / window.sum()
        table[_SIZE // 2 + places, number] = window * np.cos(2.0 * np.pi * turns * places)
        table[_SIZE // 2 + places, BINS + number] = window * np.sin(2.0 * np.pi * turns * places)
    return table


SIZE = 8192
LOWEST, NOTES = 24, 72
"""MIDI number of the lowest note, C1, and the number of notes."""
BINS_PER_SEMITONE = 3
"""Bins per semitone."""
_DECAY = 0.7
"""Amplitude ratio of successive harmonics."""
_HARMONICS = 16
_UPDATES = 12
TUNED_AFTER = 300
"""Number of frames after which the tuning is estimated, 28 s."""
_SPAN = 6 * BINS_PER_SEMITONE
"""Half-width in bins of the local mean."""


class NoteSpectrum:
    """Streaming pitch classes `[n, 24]`: of the bass, then of the treble, at `FRAMES_PER_SECOND`.

    `tuned_after`: number of frames from which the tuning is estimated; until then no frame is returned.
    """

    def __init__(self, tuned_after: int = TUNED_AFTER) -> None:
        self._tuned_after = tuned_after
        self._frames, self._window = FrameBuffer(SIZE, HOP), hann(SIZE)
        self._early: list[F32] = []
        self._count = 0
        self._map: F32 | None = None
        self._rows: list[F32] = []
        self._notes = _dictionary()
        pitch = LOWEST + np.arange(NOTES)
        low = np.clip((58.0 - pitch) / 12.0, 0.0, 1.0) * np.clip((pitch - 26.0) / 6.0, 0.0, 1.0)
        high = np.clip((pitch - 44.0) / 12.0, 0.0, 1.0) * np.clip((94.0 - pitch) / 12.0, 0.0, 1.0)
        table = np.zeros((NOTES, 24))
        table[np.arange(NOTES), pitch % 12] = low
        table[np.arange(NOTES), 12 + pitch % 12] = high
        self._fold = table.astype(np.float32)
        self.tuning = 0.0

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`."""
        self._take(self._frames.push(samples))

    def _take(self, frames: F32) -> None:
        if not len(frames):
            return
        spectra = magnitudes(frames, self._window)
        if self._map is not None:
            self._rows.append(self._chroma(spectra))
            return
        self._early.append(spectra)
        self._count += len(spectra)
        if self._count >= self._tuned_after:
            self._settle()

    def _settle(self) -> None:
        """Estimates the tuning of the buffered spectra, and processes them."""
        spectra = np.concatenate(self._early)
        self.tuning = _estimate_tuning(spectra)
        self._map = _bins(self.tuning)
        self._rows += [self._chroma(spectra[first : first + 64]) for first in range(0, len(spectra), 64)]
        self._early = []

    def pull(self) -> F32:
        """Frames since the last call, `[n, 24]`; a silent one is zeros."""
        rows = np.asarray(np.concatenate(self._rows)) if self._rows else np.zeros((0, 24), np.float32)
        self._rows = []
        return rows

    def end(self) -> F32:
        """Ends the sound; returns all remaining frames, `[n, 24]`."""
        self._take(self._frames.end())
        if self._map is None and self._early:
            self._settle()
        return self.pull()

    def _chroma(self, spectra: F32) -> F32:
        assert self._map is not None
        level = np.sqrt(spectra @ self._map)
        padded = np.pad(level, ((0, 0), (_SPAN, _SPAN)), mode="edge")
        total = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
        mean = (total[:, 2 * _SPAN + 1 :] - total[:, : -2 * _SPAN - 1]) / (2 * _SPAN + 1)
        level = np.maximum(0.0, level - mean).astype(np.float32)
        notes = _estimate_note_strengths(level, self._notes)
        return np.asarray((notes @ self._fold).astype(np.float32))


def _estimate_note_strengths(level: F32, notes: F32) -> F32:
    """Non-negative note strengths that approximate the spectra: Lee and Seung's updates for squared error."""
    goal = level @ notes.T
    gram = notes @ notes.T
    strength: F32 = np.maximum(goal, 1e-6).astype(np.float32)
    for _ in range(_UPDATES):
        strength *= goal / (strength @ gram + np.float32(1e-6))
    return strength


def _dictionary() -> F32:
    """Notes as spectra on the scale of bins, `[NOTES, NOTES * BINS_PER_SEMITONE]`, each of length 1."""
    bins = np.arange(NOTES * BINS_PER_SEMITONE)
    table = np.zeros((NOTES, len(bins)))
    for note in range(NOTES):
        for harmonic in range(1, _HARMONICS + 1):
            place = BINS_PER_SEMITONE * (note + 12.0 * np.log2(harmonic)) + BINS_PER_SEMITONE // 2
            table[note] += _DECAY ** (harmonic - 1) * np.maximum(0.0, 1.0 - np.abs(bins - place) / 1.5)
    unit: F32 = (table / np.linalg.norm(table, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _bins(tuning: float) -> F32:
    """Matrix from a spectrum to bins of a third of a semitone, `[SIZE // 2 + 1, NOTES * BINS_PER_SEMITONE]`."""
    frequencies = np.fft.rfftfreq(SIZE, 1.0 / RATE)
    pitch = np.full(len(frequencies), -100.0)
    pitch[1:] = note_number(frequencies[1:]) - tuning
    place = BINS_PER_SEMITONE * (pitch - LOWEST) + BINS_PER_SEMITONE // 2
    bins = np.arange(NOTES * BINS_PER_SEMITONE)
    width = np.ones(len(frequencies))
    width[2:] = np.maximum(1.0, np.diff(place)[1:])  # where bins of the spectrum are wider than a third of a semitone
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - bins) / width[:, None]).astype(np.float32)


def _estimate_tuning(spectra: F32) -> float:
    """Tuning in semitones from A at 440 Hz, -0.5 to 0.5: the circular mean of spectral peak positions."""
    middle = spectra[:, 1:-1]
    peaks = (
        (middle > spectra[:, :-2]) & (middle >= spectra[:, 2:]) & (middle > 0.1 * spectra.max(axis=1, keepdims=True))
    )
    frame, at = np.nonzero(peaks)
    at = at + 1
    keep = (at * RATE / SIZE > 150.0) & (at * RATE / SIZE < 2000.0)
    frame, at = frame[keep], at[keep]
    if not len(at):
        return 0.0
    before, top, after = (np.log(spectra[frame, at + n] + 1e-9) for n in (-1, 0, 1))
    beside = 0.5 * (before - after) / np.minimum(before - 2.0 * top + after, -1e-9)
    pitch = 12.0 * np.log2((at + beside) * RATE / SIZE / 440.0)
    turn = np.sum(spectra[frame, at] * np.exp(2j * np.pi * pitch))
    return float(np.angle(turn) / (2.0 * np.pi))
