"""Corpus of a mosaic: units of a file or folder, their features, and the selection of the nearest.

Features of a sound segment are MFCC, chroma, level and pitch; onsets are found hop by hop.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, FileError, note_number
from antiphon.api.backends.analysis import MelSettings, listening_mono, mel_bank
from antiphon.api.backends.files import SOUND_FORMATS, printable_path, read_sound
from antiphon.api.backends.signal import hann

BANDS, CEPSTRA = 40, 12
TIMBRE, CHROMA, LEVEL = slice(0, CEPSTRA), slice(CEPSTRA, CEPSTRA + 12), CEPSTRA + 12
WIDTH = CEPSTRA + 13
"""Features of a unit: MFCC 2 to 13 in units of `SPREAD`, chroma of length 1, level in units of `LEVEL_SPREAD`."""
SPREAD, LEVEL_SPREAD = 60.0, 20.0
"""Feature scales in dB."""
BAND_RANGE = 60.0
"""Band range in dB below the loudest; bands are clipped to it."""
SILENT = -80.0
"""Level in dB below which a window is silent."""
LOWEST, HIGHEST = 50.0, 1600.0
"""Range of pitches in Hz."""
MIN_PEAK = 0.8
"""Minimum autocorrelation peak of a pitched sound."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes in samples at a rate."""

    rate: int  # samples a second
    size: int  # samples of a unit

    @property
    def hop(self) -> int:
        """Hop in samples: the power of two nearest to 5.3 ms."""
        return int(2 ** max(5, round(math.log2(self.rate / 187.5))))

    @property
    def window(self) -> int:
        """Window in samples of MFCC and level; chroma and pitch use twice as many, with the same end."""
        return 8 * self.hop

    @property
    def look_ahead(self) -> int:
        """Samples from the beginning of a unit to the end of its feature window, with equal centres."""
        return self.size // 2 + self.window // 2

    @property
    def latency(self) -> int:
        """Samples by which the output lags the input."""
        return self.look_ahead + 3 * self.hop


class Describer:
    """Computes the features of windows `[n, 2 * grid.window]`."""

    def __init__(self, grid: Grid) -> None:
        size = grid.window
        settings = MelSettings(grid.rate, size, grid.hop, BANDS, 40.0, min(11000.0, 0.45 * grid.rate))
        self._size = size
        self._short, self._long = (hann(n) for n in (size, 2 * size))
        decay = np.fft.irfft(np.abs(np.fft.rfft(self._long, 4 * size)) ** 2)
        self._decay = (decay / decay[0]).astype(np.float32)
        self._bank = np.ascontiguousarray(mel_bank(settings).T)
        place = np.arange(1, CEPSTRA + 1)[:, None] * (np.arange(BANDS) + 0.5)
        self._cosines = (np.cos(np.pi / BANDS * place) * math.sqrt(2.0 / BANDS) / SPREAD).T.astype(np.float32)
        hertz = np.fft.rfftfreq(2 * size, 1.0 / grid.rate)
        inside = (hertz > 60.0) & (hertz < 4200.0)
        self._classes = (np.eye(12)[np.round(note_number(np.maximum(hertz, 1.0))).astype(int) % 12]).astype(np.float32)
        self._classes *= inside[:, None]

    def describe(self, windows: F32) -> F32:
        """Features `[n, WIDTH]`, see there."""
        out = np.zeros((len(windows), WIDTH), np.float32)
        short = windows[:, self._size :] * self._short
        spectrum = np.fft.rfft(short, axis=1)
        levels = 10.0 * np.log10((spectrum.real**2 + spectrum.imag**2) @ self._bank + 1e-9)
        levels = np.maximum(levels, levels.max(axis=1, keepdims=True) - BAND_RANGE)
        out[:, TIMBRE] = levels @ self._cosines
        classes = np.sqrt(np.abs(np.fft.rfft(windows * self._long, axis=1))) @ self._classes
        out[:, CHROMA] = classes / (np.linalg.norm(classes, axis=1, keepdims=True) + 1e-9)
        out[:, LEVEL] = window_levels(short) / LEVEL_SPREAD
        return out

    def pitch(self, windows: F32, rate: int) -> F32:
        """MIDI pitches `[n]` by autocorrelation; 0 for unpitched windows."""
        count = windows.shape[1]
        spectrum = np.fft.rfft(windows * self._long, 2 * count, axis=1)
        first, last = int(rate / HIGHEST), int(rate / LOWEST)
        found = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)[:, : last + 2]
        found = found / (found[:, :1] + 1e-9) / self._decay[: last + 2]
        inner = found[:, first : last + 1]
        peaks = (inner >= found[:, first - 1 : last]) & (inner > found[:, first + 1 : last + 2])
        # the first peak near the highest: later ones are its multiples
        best = np.where(peaks, inner, 0.0)
        top = best.max(axis=1, keepdims=True)
        at = np.argmax(best >= np.maximum(0.9 * top, 1e-9), axis=1) + first
        rows = np.arange(len(windows))
        before, here, after = (found[rows, at + n] for n in (-1, 0, 1))
        shift = 0.5 * (before - after) / np.minimum(before - 2.0 * here + after, -1e-9)
        numbers = note_number(rate / (at + np.clip(shift, -0.5, 0.5)))
        return np.where(top[:, 0] > MIN_PEAK, numbers, 0.0).astype(np.float32)


def window_levels(windows: F32) -> F32:
    """Levels `[n]` in dB of Hann windows `[n, size]`."""
    return np.asarray(10.0 * np.log10(np.mean(np.square(windows), axis=1) / 0.375 + 1e-12), np.float32)


class OnsetFinder:
    """Onset detector hop by hop, from the rise of 24 mel bands in windows of two hops.

    `after`: hops from the onset's hop to the call that returns it; `rise`: the newest, dB.
    """

    RISE, OVER, BANDS = 2.5, 2.0, 24
    """Thresholds of the mean band rise in dB, and of its ratio to the mean of the last 80 ms; number of bands."""

    def __init__(self, grid: Grid) -> None:
        size = 2 * grid.hop
        settings = MelSettings(grid.rate, size, grid.hop, self.BANDS, 60.0, min(10000.0, 0.45 * grid.rate))
        self._bank, self._window = np.ascontiguousarray(mel_bank(settings).T), hann(size)
        self._apart = max(1, round(0.05 * grid.rate / grid.hop))
        self.after = 1
        self.reset()

    def reset(self) -> None:
        self._levels = np.full((3, self.BANDS), -60.0, np.float32)
        self._rises = np.zeros(16)
        self.rise = 0.0
        self._wait = 0

    def push(self, newest: F32) -> bool:
        """Processes the newest two hops of samples. Returns True if the hop before the last has an onset."""
        spectrum = np.fft.rfft(newest * self._window)
        self._levels[:-1] = self._levels[1:]
        energy = (spectrum.real**2 + spectrum.imag**2) @ self._bank
        self._levels[-1] = np.maximum(10.0 * np.log10(energy + 1e-9), -60.0)
        rise = float(np.maximum(self._levels[2] - self._levels[0], 0.0).mean())
        before, last = self._rises[-2], self._rises[-1]
        found = last > self.RISE and last >= before and last > rise and last > self.OVER * self._rises[:-2].mean()
        self._rises[:-1] = self._rises[1:]
        self._rises[-1] = self.rise = rise
        self._wait -= 1
        if found and self._wait <= 0:
            self._wait = self._apart
            return True
        return False


SECONDS = 120.0
"""Maximum seconds of sound in a corpus; beyond it each file contributes an equal share, its loudest part."""
MAX_FILES = 200
MAX_UNITS = 8192
CLUSTERS = 8
RANGE = 50.0
"""Level range in dB below the loudest unit; softer units are omitted."""
MAX_RISE = 6.0
"""Band rise in dB that counts as a full onset."""
_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class Corpus:
    """Units, in the order of their position in the sound."""

    sound: F32  # `[samples]`, mono, with silence after the last unit
    starts: NDArray[np.int64]  # `[n]` first samples
    features: F32  # `[n, WIDTH]`, of `Describer`
    pitch: F32  # `[n]` MIDI numbers, 0 for none
    onset: NDArray[np.bool_]  # `[n]` whether one begins with an onset
    stir: F32  # `[n]` 0 to 1, the greatest rise inside a unit
    place: F32  # `[n, 2]` 0 to 1: the first two principal components by rank; x rises with brightness, y with level
    cluster: NDArray[np.int64]  # `[n]` 1 to `CLUSTERS`, by rising brightness


def read(path: str, rate: int) -> list[F32]:
    """Reads mono sounds of a file, or of all sound files in and below a folder, at most `SECONDS` in total.

    Raises FileError: a file cannot be read, there is none, or all are silent.
    """
    files = [Path(path)]
    if os.path.isdir(path):
        inside = sorted(p for p in Path(path).rglob("*") if p.suffix.lower() in SOUND_FORMATS and p.is_file())
        files = [inside[n * len(inside) // MAX_FILES] for n in range(MAX_FILES)] if len(inside) > MAX_FILES else inside
        if not files:
            raise FileError(f"the reference {printable_path(path)} holds no sound files; give a file or another folder")
    share = max(1, round(SECONDS * rate / len(files)))
    sounds = []
    for file in files:
        mono = np.clip(listening_mono(read_sound(file, rate=rate).samples), -16.0, 16.0)
        if len(mono) > share:
            energy = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
            first = int(np.argmax(energy[share:] - energy[:-share]))
            mono = mono[first : first + share]
        sounds.append(np.asarray(mono, np.float32))
    if max(float(np.abs(sound).max(initial=0.0)) for sound in sounds) < 1e-5:
        raise FileError(f"the reference {printable_path(path)} is silent; give one that sounds")
    return sounds


def corpus(sounds: list[F32], grid: Grid) -> Corpus:
    """Cuts sounds into units on a grid of a quarter of their size, and at onsets; computes features and map."""
    gap = np.zeros(grid.size, np.float32)
    whole = np.concatenate([part for sound in sounds for part in (sound, gap)])
    step = max(grid.size // 4, len(whole) // (MAX_UNITS * 3 // 4))
    starts: list[int] = []
    first = 0
    for sound in sounds:
        starts += range(first, first + max(1, len(sound) - grid.size // 2), step)
        first += len(sound) + grid.size
    onsets, rises = _onsets(whole, grid)
    order = np.unique(np.concatenate([np.array(starts, np.int64), onsets]))
    onset = np.isin(order, onsets)
    inner = -(-grid.size // grid.hop)
    tops = np.lib.stride_tricks.sliding_window_view(np.pad(rises, (0, inner + 1)), inner).max(axis=1)
    stir = np.minimum(tops[np.minimum(order // grid.hop + 1, len(rises))] / MAX_RISE, 1.0)
    describer = Describer(grid)
    length = 2 * grid.window
    before = length - grid.look_ahead
    padded = np.pad(whole, (before, length))
    views = np.lib.stride_tricks.sliding_window_view(padded, length)
    parts, pitches = [], []
    for at in range(0, len(order), _BATCH_SIZE):
        windows = views[order[at : at + _BATCH_SIZE]]
        parts.append(describer.describe(windows))
        pitches.append(describer.pitch(windows, grid.rate))
    features, pitch = np.concatenate(parts), np.concatenate(pitches)
    heard = features[:, LEVEL] > features[:, LEVEL].max() - RANGE / LEVEL_SPREAD
    chosen = np.flatnonzero(heard)
    if len(chosen) > MAX_UNITS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_UNITS).astype(int)]
    features = np.ascontiguousarray(features[chosen])
    place, cluster = _map_positions(features)
    sound = np.pad(whole, (0, 4 * grid.size))
    return Corpus(sound, order[chosen], features, pitch[chosen], onset[chosen], stir[chosen], place, cluster)


def _onsets(sound: F32, grid: Grid) -> tuple[NDArray[np.int64], F32]:
    """Onsets in samples, and the rise of each hop in dB."""
    finder = OnsetFinder(grid)
    padded = np.pad(sound, (grid.hop, 2 * grid.hop))
    found, rises = [], []
    for n in range(len(sound) // grid.hop):
        if finder.push(padded[n * grid.hop : (n + 2) * grid.hop]):
            found.append(max(0, n - finder.after) * grid.hop)
        rises.append(finder.rise)
    return np.array(found, np.int64), np.array(rises, np.float32)


def _map_positions(features: F32) -> tuple[F32, NDArray[np.int64]]:
    """Map positions `[n, 2]` by principal components, and clusters `[n]` by k-means, of timbre and level."""
    points = features.astype(np.float64)
    points[:, CHROMA] = 0.0
    points -= points.mean(axis=0)
    axes = np.linalg.svd(points.T @ points)[0][:, :2]
    flat = points @ axes
    for axis, sign in ((0, -points[:, 0]), (1, points[:, LEVEL])):
        if flat[:, axis] @ sign < 0.0:
            flat[:, axis] *= -1.0
    ranks = flat.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    place = (ranks / max(1, len(points) - 1)).astype(np.float32)
    centres = points[flat[:, 0].argsort(kind="stable")[np.linspace(0, len(points) - 1, CLUSTERS).astype(int)]]
    nearest = np.zeros(len(points), np.int64)
    for _ in range(20):
        nearest = np.argmin((centres**2).sum(axis=1) - 2.0 * points @ centres.T, axis=1)
        for n in range(CLUSTERS):
            if (nearest == n).any():
                centres[n] = points[nearest == n].mean(axis=0)
    order = np.argsort(np.argsort(-centres[:, 0], kind="stable"), kind="stable")
    return place, order[nearest] + 1


REPEAT_COST = 0.6
"""Cost of repeating the last unit."""
ONSET_COST = 0.5
"""Cost of a mismatch of onsets at the beginning of a unit, for note starts."""
INNER_ONSET_COST = 1.0
"""Cost of an onset inside a unit without one in the input."""
TRANSPOSITION_COST = 0.02
"""Cost of a semitone of transposition."""
UNPITCHED_DISTANCE = 2.0
"""Distance in semitones assigned to an unpitched unit, and to one beyond the transposition range."""
MAX_STEPS, MAX_NOTE_STEPS = 12, 36


class UnitChooser:
    """Selects units of a corpus, in preallocated buffers."""

    def __init__(self, corpus: Corpus, grid: Grid) -> None:
        self._corpus = corpus
        self._near = grid.size // 8 + 1
        self._features = corpus.features
        self._begins = (ONSET_COST * ~corpus.onset).astype(np.float32)
        self._stir = (INNER_ONSET_COST * corpus.stir).astype(np.float32)
        self._squares = corpus.features**2
        self._chroma = np.ascontiguousarray(corpus.features[:, CHROMA].T)
        self._cost: F32 = np.zeros(len(corpus.starts), np.float32)
        self._part: F32 = np.zeros(len(corpus.starts), np.float32)
        self._likeness: F32 = np.zeros((2 * MAX_STEPS + 1, len(corpus.starts)), np.float32)
        self._wanted: F32 = np.zeros((2 * MAX_STEPS + 1, 12), np.float32)
        self._weight: F32 = np.zeros(WIDTH, np.float32)
        self.steps = 0.0  # semitones by which the unit chosen last is to be transposed
        self.continues = False

    def set_weights(self, timbre: float, loudness: float) -> None:
        """Sets the weights of `follow`."""
        self._weight[TIMBRE], self._weight[LEVEL] = timbre, loudness

    def follow(self, target: F32, number: float, pitch: float, transpose: int, *, onset: bool) -> None:
        """Starts a selection: the costs of units for the features of a sound.

        `target`: `[WIDTH]`. `number`: MIDI number of the pitch that units should have; 0 for units with the target's
        chroma instead. `transpose`: semitones by which units may be transposed for it.
        """
        cost, part = self._cost, self._part
        np.dot(self._squares, self._weight, out=cost)
        np.dot(self._features, self._weight * target, out=part)
        np.multiply(part, -2.0, out=part)
        np.add(cost, part, out=cost)
        self._number, self._transpose = number, transpose
        if number > 0.0:
            self._add_pitch_costs(number, pitch)
        else:
            for n in range(2 * transpose + 1):
                self._wanted[n] = np.roll(target[CHROMA], transpose - n) * np.float32(-2.0 * pitch)
            likeness = self._likeness[: 2 * transpose + 1]
            np.matmul(self._wanted[: 2 * transpose + 1], self._chroma, out=likeness)
            likeness += (
                np.float32(TRANSPOSITION_COST) * np.abs(np.arange(-transpose, transpose + 1, dtype=np.float32))[:, None]
            )
            np.min(likeness, axis=0, out=part)
            np.add(cost, part, out=cost)
        if onset:
            np.add(cost, self._begins, out=cost)
        else:
            np.add(cost, self._stir, out=cost)

    def note(self, number: float, pitch: float) -> None:
        """Starts a selection: the costs of units for a note; number 0 for a finger, without transposition."""
        self._cost.fill(0.0)
        self._number, self._transpose = number, MAX_NOTE_STEPS if number > 0.0 else 0
        self._likeness[0] = 0.0
        if number > 0.0:
            self._add_pitch_costs(number, pitch)

    def _add_pitch_costs(self, number: float, pitch: float) -> None:
        """Adds pitch costs: transposition, its excess over the range, or a missing pitch."""
        away = np.abs(self._corpus.pitch - np.float32(number))
        np.multiply(away, TRANSPOSITION_COST, out=self._part)
        away -= self._transpose
        np.clip(away, 0.0, UNPITCHED_DISTANCE, out=away)
        away[self._corpus.pitch == 0.0] = UNPITCHED_DISTANCE
        self._part += np.float32(pitch) * away
        self._cost += self._part

    def choose(
        self, x: float, y: float, position: float, cluster: int, last: int, next_sample: float, continuity: float
    ) -> int:
        """Adds the costs of position, cluster and continuity, and returns the unit of minimum cost.

        `cluster`: 0 for all. `last`: the previous unit; below 0 for none. `next_sample`: sample of the corpus after the
        sound played so far.
        """
        corpus, cost = self._corpus, self._cost
        if position > 0.0:
            away = corpus.place - np.array([x, y], np.float32)
            np.multiply(away, away, out=away)
            cost += np.float32(8.0 * position) * away.sum(axis=1)
        if cluster > 0:
            cost += np.float32(1e3) * (corpus.cluster != cluster)
        if last >= 0:
            cost[last] += REPEAT_COST
            after = int(np.searchsorted(corpus.starts, next_sample))
            for n in (after - 1, after):
                if 0 <= n < len(cost) and n != last and abs(corpus.starts[n] - next_sample) < self._near:
                    cost[n] -= continuity
        best = int(np.argmin(cost))
        self.continues = last >= 0 and best != last and abs(corpus.starts[best] - next_sample) < self._near
        unit = float(corpus.pitch[best])
        if self._number > 0.0:
            self.steps = min(max(self._number - unit, -self._transpose), self._transpose) if unit > 0.0 else 0.0
        elif not self.continues:
            self.steps = float(np.argmin(self._likeness[: 2 * self._transpose + 1, best])) - self._transpose
        return best
