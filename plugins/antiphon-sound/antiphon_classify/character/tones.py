"""Brightness, roughness and mode by spectral peaks; speech, reverberation and production measures."""

from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64, note_number
from antiphon.api.backends.signal import hann
from antiphon_classify.character.pulse import FRAMES_PER_SECOND

_WINDOW = 172
"""Window in frames, 2 s, for pauses and syllables."""
_SPEECH, _NOISY, _TOP = slice(6, 28), slice(8, 36), 34
"""Bands of speech, those of the flatness, and the first above 5 kHz."""
_PAUSE, _DEEPEST = 0.25, 35.0
"""Pause threshold relative to the mean power; range in dB below the loudest frame."""
_SYLLABLES, _CHANGES = (3.0, 8.0), (0.4, 25.0)
"""Modulation band in Hz of syllables, and the reference band (Scheirer and Slaney 1997: about 4 Hz)."""
_ROOM_FRAMES = 10
"""Number of frames whose quietest estimates the room."""


@dataclass(frozen=True, slots=True)
class PresenceMeasures:
    """Measures of a sound's levels."""

    pauses: float  # share of frames below a quarter of the mean power of their 2 s
    syllables: float  # share of the changes of level that are at 3 to 8 Hz
    floor: float  # dB of the level that a tenth of the frames stay below, beside the mean
    floor_flatness: float  # spectral flatness of that tenth, 0 for a tone to 1 for noise
    crest: float  # dB, of the highest sample beside the mean
    top: float  # dB of what is above 5 kHz, beside all


class PresenceStream:
    """Streaming `PresenceMeasures`, eight bytes a frame: 2.4 MB an hour."""

    def __init__(self) -> None:
        self._held: F64 = np.zeros((0, 0))
        self._windows: list[tuple[float, float]] = []
        self._powers: list[F32] = []
        self._flatness: list[F32] = []
        self._top = self._square = self._peak = 0.0
        self._samples = 0

    def feed(self, mono: F32, mel: F32) -> None:
        """Processes the next samples, and the next frames, `[n, bands]` in dB."""
        self._samples += len(mono)
        self._square += float(np.square(mono, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        if not len(mel):
            return
        power = 10.0 ** (mel.astype(np.float64) / 10.0)
        noisy = power[:, _NOISY] + 1e-12
        self._powers.append(power.sum(axis=1).astype(np.float32))
        self._flatness.append((np.exp(np.log(noisy).mean(axis=1)) / noisy.mean(axis=1)).astype(np.float32))
        self._top += float(power[:, _TOP:].sum())
        speech = np.concatenate([self._held.ravel(), power[:, _SPEECH].sum(axis=1)])
        while len(speech) >= _WINDOW:
            self._windows.append(_window(speech[:_WINDOW]))
            speech = speech[_WINDOW:]
        self._held = speech

    def measures(self) -> PresenceMeasures | None:
        """Measures of the fed sound; None for less than 2 s, and for silence."""
        if not self._windows or self._peak <= 0.0:
            return None
        power, flatness = np.concatenate(self._powers).astype(np.float64), np.concatenate(self._flatness)
        quiet = np.argsort(power, kind="stable")[: max(1, len(power) // _ROOM_FRAMES)]
        pauses, syllables = np.mean(self._windows, axis=0)
        mean = power.mean() + 1e-12
        return PresenceMeasures(
            float(pauses),
            float(syllables),
            _decibels(float(np.quantile(power, 1.0 / _ROOM_FRAMES)) / mean),
            float(flatness[quiet].mean()),
            _decibels(self._peak**2 * self._samples / (self._square + 1e-12)),
            _decibels(self._top / (mean * len(power))),
        )


def _window(power: F64) -> tuple[float, float]:
    level = 10.0 * np.log10(power + 1e-10)
    level = np.maximum(level, level.max() - _DEEPEST)
    changes = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    hertz = np.fft.rfftfreq(len(level), 1.0 / FRAMES_PER_SECOND)
    within = [float(changes[(hertz >= low) & (hertz < high)].sum()) for low, high in (_SYLLABLES, _CHANGES)]
    return float((power < _PAUSE * power.mean()).mean()), within[0] / (within[1] + 1e-9)


def _decibels(ratio: float) -> float:
    return float(10.0 * np.log10(ratio + 1e-9))


RATE, SIZE, HOP = 22050, 8192, 4096
_BATCH_SIZE = 64
"""Spectra per batch, which bounds the memory."""
_PEAKS = 12
"""Number of strongest peaks per spectrum."""
_BINS_PER_SEMITONE = 10
"""Bins per semitone of the tuning estimate."""
_HIGHEST = 1000.0
"""Maximum frequency in Hz of peaks for the mode: above are mostly harmonics, of which the fifth is a major third."""
_LOWEST = 60.0
_SILENT = 1e-4
"""Minimum RMS of a window, -80 dB."""
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Probe-tone profiles (Krumhansl and Kessler 1982)."""


@dataclass(frozen=True, slots=True)
class ToneMeasures:
    """Measures of a sound's spectra.

    `mode`: how much better the best major key fits than the best minor one, as a difference of correlations; 0 where
    nothing has a pitch.
    """

    brightness: float  # Hz, the mean of the logarithm of the spectral centroid
    roughness: float  # pairs of neighbouring partials that beat, weighted by amplitude; 0 for none
    mode: float


class ToneStream:
    """Streaming `ToneMeasures`, in constant memory."""

    def __init__(self) -> None:
        self._window = hann(SIZE)
        self._hertz = np.fft.rfftfreq(SIZE, 1.0 / RATE)
        self._held = np.zeros(0, np.float32)
        self._bright = self._rough = 0.0
        self._count = 0
        self._places = np.zeros(12 * _BINS_PER_SEMITONE)

    def feed(self, mono: F32) -> None:
        """Processes the next samples at `RATE`."""
        held = np.concatenate([self._held, mono])
        count = max(0, (len(held) - SIZE) // HOP + 1)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(held, SIZE)[::HOP][:count]
            for first in range(0, count, _BATCH_SIZE):
                self._take(frames[first : first + _BATCH_SIZE])
        self._held = held[count * HOP :].copy()

    def measures(self) -> ToneMeasures | None:
        """Measures of the fed sound; None for silence."""
        if not self._count:
            return None
        bright, rough = self._bright / self._count, self._rough / self._count
        return ToneMeasures(float(np.exp(bright)), rough, _mode(self._places))

    def _take(self, frames: F32) -> None:
        frames = frames[np.sqrt((frames**2).mean(axis=1)) > _SILENT]
        if not len(frames):
            return
        spectra = np.abs(np.fft.rfft(frames * self._window, axis=1)).astype(np.float64) / (SIZE / 4)
        self._count += len(spectra)
        centroid = spectra @ self._hertz / (spectra.sum(axis=1) + 1e-12)
        self._bright += float(np.log(np.maximum(centroid, 1.0)).sum())
        hertz, level = _peaks(spectra)
        self._rough += float(_roughness(hertz, level).sum())
        low = (hertz > _LOWEST) & (hertz < _HIGHEST) & (level > 0.0)
        if low.any():
            share = np.sqrt(level[low] / level.max())
            pitch = note_number(hertz[low])
            place = np.round(pitch * _BINS_PER_SEMITONE).astype(int) % len(self._places)
            self._places += np.bincount(place, share, len(self._places))


def _peaks(spectra: F64) -> tuple[F64, F64]:
    """Frequencies and amplitudes of the strongest peaks, `[n, _PEAKS]`, padded with amplitude 0."""
    middle = spectra[:, 1:-1]
    top = (middle > spectra[:, :-2]) & (middle >= spectra[:, 2:])
    level = np.where(top & (middle > 0.02 * spectra.max(axis=1, keepdims=True)), middle, 0.0)
    at = np.argpartition(level, -_PEAKS, axis=1)[:, -_PEAKS:]
    rows = np.arange(len(spectra))[:, None]
    before, here, after = (np.log(spectra[rows, at + n] + 1e-12) for n in range(3))
    beside = 0.5 * (before - after) / np.minimum(before - 2.0 * here + after, -1e-9)
    return (at + 1 + np.clip(beside, -0.5, 0.5)) * RATE / SIZE, level[rows, at]


def _roughness(hertz: F64, level: F64) -> F64:
    """Plomp and Levelt's curve of dissonance in Sethares's form (1993), over all pairs, by the partials' energy."""
    low = np.minimum(hertz[:, :, None], hertz[:, None])
    apart = np.abs(hertz[:, :, None] - hertz[:, None]) * 0.24 / (0.0207 * low + 18.96)
    curve = np.exp(-3.51 * apart) - np.exp(-5.75 * apart)
    pairs = level[:, :, None] * level[:, None] * curve
    return np.asarray(pairs.sum(axis=(1, 2)) / 2.0 / ((level**2).sum(axis=1) + 1e-12))


def _mode(places: F64) -> float:
    if not places.any():
        return 0.0
    # how far the peaks lie from the tempered scale at 440 Hz, -0.5 to 0.5 semitones
    turn = np.angle((places * np.exp(2j * np.pi * np.arange(len(places)) / _BINS_PER_SEMITONE)).sum()) / (2.0 * np.pi)
    pitch = (np.arange(len(places)) / _BINS_PER_SEMITONE - turn).round().astype(int) % 12
    classes = np.bincount(pitch, places, 12)
    if classes.std() < 1e-9:
        return 0.0
    best = [
        max(float(np.corrcoef(np.roll(profile, n), classes)[0, 1]) for n in range(12)) for profile in (_MAJOR, _MINOR)
    ]
    return best[0] - best[1]
