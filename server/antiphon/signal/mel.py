"""Log-mel spectrograms: energies in decibels of triangular bands with equal spacing in mel.

The mel scale and the bands are Slaney's (Auditory Toolbox, 1998), which librosa computes by default.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
MEL = "mel"
"""Value of `MelSettings.features` for the log-mel spectrograms of this module."""
FLOOR = 1e-10
"""Energy floor: -100 dB."""
_LINEAR_HZ, _LINEAR_MEL = 200.0 / 3, 15.0  # Hz of a mel below 1 kHz, and mels at 1 kHz
_STEP = np.log(6.4) / 27.0  # the logarithm of a mel's ratio above it
FRAMES_AT_ONCE = 4096
"""Windows transformed per batch, which bounds the memory of a long sound."""


@dataclass(frozen=True, slots=True)
class MelSettings:
    """Window and band settings of a log-mel spectrogram."""

    rate: int = 22050  # Hz of the sound
    window: int = 1024  # frames of a window
    hop: int = 512  # frames between two windows
    bands: int = 64
    low: float = 30.0  # Hz at which the lowest band begins
    high: float = 10000.0  # Hz at which the highest band ends
    features: str = MEL  # `MEL`, or a feature of `signal.features` by librosa, with bands of its own


def hann(size: int) -> F32:
    """Periodic Hann window: overlapped by half, or by more, it adds up to a constant."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size), np.float32)


class LogMel:
    """Log-mel spectrogram extractor of fixed settings."""

    def __init__(self, settings: MelSettings) -> None:
        self._window, self._hop = settings.window, settings.hop
        self._taper = hann(settings.window)
        self._bank = mel_bank(settings)

    def compute(self, mono: F32) -> F32:
        """Computes the spectrogram of a sound.

        `mono`: float32 `[samples]`. Returns float32 `[frames, bands]` in dB, frames `hop` samples apart; a sound
        shorter than a window has one frame.
        """
        if len(mono) < self._window:
            mono = np.pad(mono, (0, self._window - len(mono)))
        windows = np.lib.stride_tricks.sliding_window_view(mono, self._window)[:: self._hop]
        parts = []
        for start in range(0, len(windows), FRAMES_AT_ONCE):
            spectrum = np.fft.rfft(windows[start : start + FRAMES_AT_ONCE] * self._taper)
            energy = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ self._bank.T
            parts.append(10.0 * np.log10(np.maximum(energy, FLOOR)))
        return np.concatenate(parts).astype(np.float32)


class LogMelStream:
    """Streaming log-mel spectrogram, with the same frames as `LogMel.compute` on the whole sound."""

    def __init__(self, settings: MelSettings) -> None:
        self._mel, self._window, self._hop = LogMel(settings), settings.window, settings.hop
        self._bands = settings.bands
        self._rest = np.zeros(0, np.float32)

    def push(self, mono: F32) -> F32:
        """Processes the next block.

        `mono`: float32 `[samples]`, any number. Returns float32 `[frames, bands]` in dB: the frames that the block
        completes, which may be none.
        """
        held = np.concatenate([self._rest, mono])
        if len(held) < self._window:
            self._rest = held
            return np.zeros((0, self._bands), np.float32)
        count = (len(held) - self._window) // self._hop + 1
        self._rest = held[count * self._hop :].copy()
        return self._mel.compute(held[: (count - 1) * self._hop + self._window])

    def end(self) -> F32:
        """Returns the frames left at the sound's end: none, since a window is either complete or missing."""
        return np.zeros((0, self._bands), np.float32)


def mel_bank(settings: MelSettings) -> F32:
    """Triangular mel filter bank. Returns float32 `[bands, window / 2 + 1]`, each of area one."""
    mels = np.linspace(_mel(settings.low), _mel(settings.high), settings.bands + 2)
    above = _LINEAR_HZ * _LINEAR_MEL * np.exp(_STEP * (mels - _LINEAR_MEL))
    edges = np.where(mels < _LINEAR_MEL, _LINEAR_HZ * mels, above)
    frequencies = np.fft.rfftfreq(settings.window, 1 / settings.rate)
    widths = np.diff(edges)
    slopes = edges[:, None] - frequencies[None, :]
    rise, fall = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    bank = np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(bank, np.float32)


def _mel(hertz: float) -> float:
    if hertz < _LINEAR_HZ * _LINEAR_MEL:
        return hertz / _LINEAR_HZ
    return float(_LINEAR_MEL + np.log(hertz / (_LINEAR_HZ * _LINEAR_MEL)) / _STEP)
