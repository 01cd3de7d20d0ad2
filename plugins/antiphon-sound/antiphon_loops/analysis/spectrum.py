"""Spectral input of the loop analysis: onset envelopes in bands, and note magnitudes.

A loop is periodic: its end continues at its beginning. All analyses are circular, which keeps the first onset as sharp
as the others and makes every whole division of the loop a DFT frequency of the envelope.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from antiphon.api import F32, F64, note_number

RATE = 22050
SIZE, HOP = 1024, 128
BANDS = 40
LOW, MID, HIGH, ALL = range(4)
"""Rows of the onset envelopes: below 160 Hz, to 2 kHz, above, and full band."""
LOWEST, HIGHEST = 28, 100
"""Range of detected notes, MIDI numbers."""
NOTE_SIZE, NOTE_HOP = 8192, 2048
_BINS = 3
_PARTIALS = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """Spectral representation of a loop.

    seconds: its length.  sound: mono at `RATE`.  power: float32 `[frames, bins]`, `HOP` apart.  mel: mel bands of it,
    `[frames, BANDS]`. `onsets`: `[4, frames]`, half-wave rectified log flux. `notes`: `[pitches, frames]`, each note's
    magnitude, `NOTE_HOP` apart.
    """

    seconds: float
    sound: F32
    power: F32
    mel: F32
    onsets: F64
    notes: F64


def picture(sound: F32, seconds: float) -> Picture:
    """Computes the spectral representation. `sound`: mono float32 at `RATE`, at least `SIZE` frames."""
    frames = max(16, round(len(sound) / HOP))
    power = _circular_power_spectra(sound, SIZE, frames)
    mel = np.asarray(power @ mel_bank(), np.float32)
    chunks = max(4, round(len(sound) / NOTE_HOP))
    return Picture(seconds, sound, power, mel, _onsets(mel), _notes(_circular_power_spectra(sound, NOTE_SIZE, chunks)))


def _circular_power_spectra(sound: F32, size: int, frames: int) -> F32:
    """Circular power spectra at `frames` evenly spaced positions, each the centre of its window."""
    half = size // 2
    wrapped = np.take(sound, np.arange(-half, len(sound) + half), mode="wrap")
    starts = np.floor(np.arange(frames) * (len(sound) / frames)).astype(np.int64)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    out = np.empty((frames, half + 1), np.float32)
    for at in range(0, frames, 512):
        rows = starts[at : at + 512, None] + np.arange(size)
        spectra = np.fft.rfft(wrapped[rows] * window, axis=1)
        out[at : at + 512] = spectra.real**2 + spectra.imag**2
    return out


@cache
def mel_bank(size: int = SIZE, bands: int = BANDS, low: float = 30.0, high: float = 10000.0) -> F32:
    """Triangular filters on O'Shaughnessy's mel scale, float32 `[size // 2 + 1, bands]`, each of sum 1."""
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / RATE)[:, None]
    width = np.maximum(np.diff(edges), RATE / size)
    rise = 1 - np.abs(bins - edges[1:-1]) / np.where(bins < edges[1:-1], width[:-1], width[1:])
    bank = np.maximum(0.0, rise)
    return np.asarray(bank / np.maximum(bank.sum(axis=0), 1e-9), np.float32)


def mel_centres() -> F64:
    """Centre frequencies in Hz of the `BANDS` mel bands, from 30 Hz to 10 kHz, rising."""
    mel = np.linspace(2595 * np.log10(1 + 30.0 / 700), 2595 * np.log10(1 + 10000.0 / 700), BANDS + 2)[1:-1]
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _onsets(level: F32) -> F64:
    floor = max(float(level.max()) * 1e-5, 1e-12)
    log = np.log10(np.maximum(level, floor) / floor)
    rise = np.maximum(0.0, log - np.roll(log, 2, axis=0))
    # an onset is where the rise begins to be seen, half a window early; the roll brings it to its place
    rise = np.roll(rise, 1, axis=0)
    centres = mel_centres()
    groups = (centres < 160, (centres >= 160) & (centres < 2000), centres >= 2000, centres > 0)
    return np.stack([rise[:, g].mean(axis=1) for g in groups]).astype(np.float64)


@cache
def _dictionary() -> F32:
    """Note spectra on a scale of a third of a semitone, `[places, pitches]`, each of length 1."""
    pitches = np.arange(LOWEST, HIGHEST)
    places = (HIGHEST + 14 - LOWEST) * _BINS
    spectra = np.zeros((places, len(pitches)), np.float32)
    for column, pitch in enumerate(pitches):
        for partial in range(1, _PARTIALS + 1):
            at = (pitch - LOWEST + 12 * np.log2(partial)) * _BINS + 1
            for place in range(max(0, int(at) - 2), min(places, int(at) + 4)):
                spectra[place, column] += 0.72 ** (partial - 1) * max(0.0, 1 - abs(place - at) / 1.7)
    return np.asarray(spectra / np.linalg.norm(spectra, axis=0), np.float32)


def _peaks(power: F32, places: int) -> F32:
    """Magnitudes of spectral peaks on the dictionary's scale, `[places, frames]`.

    A parabola through the log of a peak and its neighbours gives the frequency, since semitones of a bass are closer
    than bins.
    """
    inner = power[:, 1:-1]
    frames, bins = np.nonzero((inner > power[:, :-2]) & (inner >= power[:, 2:]) & (inner > 1e-7 * power.max()))
    bins += 1
    left, middle, right = (np.log(power[frames, bins + n] + 1e-20) for n in (-1, 0, 1))
    beside = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)
    frequency = (bins + beside) * (RATE / NOTE_SIZE)
    place = (note_number(np.maximum(frequency, 1.0)) - LOWEST) * _BINS + 1
    inside = (place >= 0) & (place < places - 1)
    frames, place, height = frames[inside], place[inside], np.exp(0.5 * middle[inside])
    below = place.astype(np.int64)
    part = place - below
    out = np.zeros((places, power.shape[0]), np.float32)
    np.add.at(out, (below, frames), height * (1 - part))
    np.add.at(out, (below + 1, frames), height * part)
    return out


def _notes(power: F32) -> F64:
    """Estimates note magnitudes by non-negative least squares on harmonic spectra (Mauch and Dixon, ISMIR 2010)."""
    spectra = _dictionary()
    seen = np.sqrt(_peaks(power, spectra.shape[0]))
    # spectral whitening: peaks relative to their neighbourhood count, not an instrument's spectral balance
    kernel = np.hanning(_BINS * 18 + 1)
    kernel /= kernel.sum()
    around = np.stack([np.convolve(column, kernel, "same") for column in seen.T], axis=1)
    seen = np.maximum(0.0, seen - around).astype(np.float32)
    active = np.full((spectra.shape[1], seen.shape[1]), float(seen.mean()) + 1e-9, np.float32)
    target, gram = spectra.T @ seen, spectra.T @ spectra
    for _ in range(40):
        active *= target / (gram @ active + 1e-6 * (float(target.max()) + 1e-9) + 1e-9)
    return active.astype(np.float64) ** 2
