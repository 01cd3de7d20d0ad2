"""Time curves for finding beats, bars and chords; onset strength as in Böck and Widmer (2013)."""

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.signal import hann
from antiphon_listen import spectra
from antiphon_listen.spectra import FrameBuffer, magnitudes, mel_bank

RATE, SIZE, HOP = 22050, 1024, 256
FRAMES_PER_SECOND = RATE / HOP
BANDS = 48
_LAG = 2
"""Frame distance of the flux, 23 ms: an attack spreads over two."""
_COMPRESSION = 100.0
_EDGES = (8, 24)
"""First bands of the middle and the high range: about 400 Hz and 1.7 kHz."""
_DRUM_HZ = 5000.0
"""Hz above which drums and cymbals have onsets, and other instruments few."""
_DRUM_RATIO = 0.9
"""Minimum ratio of rises above `_DRUM_HZ` to those of all bands for drums: .93 to 2 with drums (22 pieces of game
music, a jazz quartet, a country song); .03 to .65 of pianos, strings, speech (12); up to .9 of orchestras (9 of 10)."""


class OnsetStrength:
    """Streaming onset strength, `[n, 3]` of low, middle and high range, `FRAMES_PER_SECOND` a second."""

    def __init__(self) -> None:
        self._frames, self._window = FrameBuffer(SIZE, HOP), hann(SIZE)
        self._bank = np.ascontiguousarray(mel_bank(RATE, SIZE, BANDS, 30.0, 10000.0).T)
        self._last = np.zeros((_LAG, BANDS), np.float32)
        self._rows: list[F32] = []
        edges = 700.0 * np.expm1(np.linspace(np.log1p(30.0 / 700.0), np.log1p(10000.0 / 700.0), BANDS + 2))
        self._bright = int(np.searchsorted(edges[1:-1], _DRUM_HZ))
        self._rises = np.zeros(2)

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`."""
        self._take(self._frames.push(samples))

    def _take(self, frames: F32) -> None:
        if not len(frames):
            return
        level = np.log1p(_COMPRESSION * (magnitudes(frames, self._window) / (SIZE / 4)) @ self._bank)
        level = np.concatenate([self._last, level])
        before = level[:-_LAG]
        # the maximum of neighbouring bands: vibrato moves energy between them and is no onset
        wide = before.copy()
        np.maximum(wide[:, 1:], before[:, :-1], out=wide[:, 1:])
        np.maximum(wide[:, :-1], before[:, 1:], out=wide[:, :-1])
        rise = np.maximum(0.0, level[_LAG:] - wide)
        self._rows.append(np.add.reduceat(rise, (0, *_EDGES), axis=1))
        self._rises += rise[:, self._bright :].mean(axis=1).sum(), rise.mean(axis=1).sum()
        self._last = level[-_LAG:]

    @property
    def has_drums(self) -> bool:
        """Whether there are drums in the sound so far."""
        bright, all_bands = self._rises
        return bool(bright > _DRUM_RATIO * all_bands)

    def pull(self) -> F32:
        """Strengths since the last call, `[n, 3]`, unnormalised."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, 3), np.float32)
        self._rows = []
        return rows

    def end(self) -> F32:
        """Ends the sound; returns all remaining strengths, `[n, 3]`, each range over its own mean."""
        self._take(self._frames.end())
        return divide_by_mean(self.pull())


def divide_by_mean(rows: F32) -> F32:
    """Strengths, `[n, 3]`, each range over its own mean."""
    return (rows / (rows.mean(axis=0) + 1e-9)).astype(np.float32) if len(rows) else rows


_ATTACK_HOP, _ATTACK_HOPS = 32, 6
"""Frames of a level of `AttackLevel`, and levels compared on either side of an attack: 9 ms."""
_NEAR_ATTACK = 0.035
"""Maximum distance in seconds of an attack from its beat."""
_CLEAR_ATTACK, _ATTACK_FLOOR = 2.0, 1e-5
"""Minimum natural logarithm of the rise of a clear attack, and level below which nothing counts, of the loud ones."""
_LATE = 0.0005
"""Seconds by which the window of the flattest attacks, of clicks, is early."""


class AttackLevel:
    """Streaming power of the sound's differences, every 1.5 ms: finer in time than `OnsetStrength`."""

    def __init__(self) -> None:
        self._frames, self._last = FrameBuffer(_ATTACK_HOP, _ATTACK_HOP), np.zeros(1, np.float32)
        self._rows: list[F32] = []

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`."""
        if len(samples):
            frames = self._frames.push(np.diff(samples, prepend=self._last))
            self._rows.append((frames * frames).mean(axis=1))
            self._last = samples[-1:].copy()

    def move_to_attacks(self, seconds: F64) -> F64:
        """Moves times that have clear attacks nearby to these; none, if fewer than half have one."""
        level = np.concatenate([np.zeros(0), *self._rows])
        floor = _ATTACK_FLOOR * float(np.percentile(level, 99.0)) if len(level) else 0.0
        if not floor:
            return seconds
        total = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
        near = np.round(np.arange(-_NEAR_ATTACK, _NEAR_ATTACK, _ATTACK_HOP / RATE) * RATE / _ATTACK_HOP).astype(int)
        places = np.round(seconds * RATE / _ATTACK_HOP).astype(int)[:, None] + near
        places = np.clip(places, _ATTACK_HOPS, max(_ATTACK_HOPS, len(level) - _ATTACK_HOPS))
        before, at, after = (total[np.minimum(places + n, len(level))] for n in (-_ATTACK_HOPS, 0, _ATTACK_HOPS))
        rises = np.log((after - at + floor) / (at - before + floor))
        rows, best = np.arange(len(seconds)), rises.argmax(axis=1)
        clear = rises[rows, best] > _CLEAR_ATTACK
        found = places[rows, best] * _ATTACK_HOP / RATE + _LATE
        return np.where(clear, found, seconds) if clear.mean() >= 0.5 else seconds


_NORMALISATION_SECONDS = 5.0
"""Window in seconds for normalising the onset strength, so that a soft verse counts as much as a loud chorus."""
_OFFSETS = np.arange(-2.0, 3.0)
_NOVELTY_FRAMES = 5
"""Frames of chroma on either side, 0.5 s, compared for harmonic novelty."""


@dataclass(frozen=True, slots=True)
class MusicCurves:
    """A recording's curves."""

    strength: F64  # `[3, n]`, of low, middle and high onsets, evened out, `FRAMES_PER_SECOND` a second
    novelty: F64  # `[m]`, how far harmony changes, its mean 1, `spectra.FRAMES_PER_SECOND` a second
    notes: F32  # `[m, 24]`, pitch classes of bass and treble
    seconds: float
    drums: bool = False  # whether there are drums in it
    silences: F64 = field(default_factory=lambda: np.zeros((0, 2)))  # `[k, 2]`, seconds: silence, or noise, as `curves`

    def sounding(self, seconds: F64) -> NDArray[np.bool_]:
        """Whether each time is outside of the silences."""
        at = seconds[:, None]
        return np.asarray(~((at >= self.silences[:, 0]) & (at < self.silences[:, 1])).any(axis=1))

    def strengths_near_onsets(self, seconds: F64) -> F64:
        """Maximum strengths within 20 ms of each time, `[3, n]`."""
        return np.array([_largest(row, seconds, FRAMES_PER_SECOND, 0.01) for row in self.strength])

    def novelty_near_times(self, seconds: F64) -> F64:
        """Maximum novelty within 50 ms of each time, `[n]`."""
        return _largest(self.novelty, seconds, spectra.FRAMES_PER_SECOND, 0.025)

    def pitch_classes_by_interval(self, seconds: F64) -> F64:
        """Mean square roots of the pitch classes between times, `[n, 24]`; the last interval repeats its length."""
        lengths = np.diff(seconds, append=2.0 * seconds[-1] - seconds[-2])
        roots = np.sqrt(self.notes / (self.notes.max(initial=0.0) + 1e-9))
        total = np.concatenate([np.zeros((1, 24)), np.cumsum(roots, axis=0, dtype=np.float64)])

        def until(at: F64) -> F64:
            place = np.clip(at * spectra.FRAMES_PER_SECOND + 0.5, 0.0, len(total) - 1.0)
            whole = np.minimum(place.astype(int), len(total) - 2)
            part = (place - whole)[:, None]
            return np.asarray(total[whole] * (1.0 - part) + total[whole + 1] * part)

        first, last = seconds + 0.1 * lengths, seconds + 0.95 * lengths
        frames = np.maximum((last - first) * spectra.FRAMES_PER_SECOND, 1e-6)
        return np.maximum(0.0, (until(last) - until(first)) / frames[:, None])


def curves(strength: F32, notes: F32, seconds: float) -> MusicCurves:
    """Curves of the results of `OnsetStrength` and `NoteSpectrum`."""
    around = int(_NORMALISATION_SECONDS * FRAMES_PER_SECOND) | 1
    silences = _find_silent_spans(strength.sum(axis=1), notes.sum(axis=1), seconds)
    change = _novelty(notes)
    found = MusicCurves(strength.T.astype(np.float64), change, notes, seconds, silences=silences)
    # silence changes no mean, and noise in it has no beats
    heard = found.sounding(np.arange(len(strength)) / FRAMES_PER_SECOND)
    rows = np.where(heard, found.strength, 0.0)
    rows /= rows.mean(axis=1, keepdims=True, where=heard) + 1e-9 if heard.any() else 1.0
    level = [_smooth(np.sqrt(row / (_mean(row, around) + 0.15)), 5) for row in rows]
    heard = found.sounding(np.arange(len(notes)) / spectra.FRAMES_PER_SECOND)
    change = np.where(heard, change, 0.0)
    return replace(found, strength=np.array(level), novelty=change / (change.sum() / max(1, heard.sum()) + 1e-9))


_ONSET_SHARE = 0.4
"""Share of the mean of above-average strengths that makes an onset. Hiss at -45 dB under songs at -15 dB reaches .3;
any two seconds of 40 songs have at least 1."""
_SOFT_SHARE = 0.3
"""Share of the loud frames' pitch classes below which a frame may be silent: -20 dB, as the values are square roots."""
_MIN_SILENCE = 3.0
"""Minimum seconds of silence between sounds: players count through a shorter rest."""
_BEFORE_ONSET = 0.07
"""Seconds at the end of a silence that belong to the following onset."""


def _find_silent_spans(strength: F64 | F32, level: F32, seconds: float) -> F64:
    """Spans without an onset, `[k, 2]`: before the first sound, behind the last, and soft ones in the middle."""
    mean = strength.mean() if len(strength) else 0.0
    if mean <= 0.0:
        return np.zeros((0, 2))
    onsets = np.flatnonzero(strength > _ONSET_SHARE * strength[strength > mean].mean()) / FRAMES_PER_SECOND
    soft = _SOFT_SHARE * float(np.percentile(level, 95.0)) if len(level) else 0.0
    spans = [(-1.0, onsets[0] - _BEFORE_ONSET)]
    for first, last in itertools.pairwise([*onsets.tolist(), seconds]):
        if last - first > _MIN_SILENCE:
            # a frame of pitch classes begins .2 s before its time
            inside = level[round(first * spectra.FRAMES_PER_SECOND) : round(last * spectra.FRAMES_PER_SECOND) - 3]
            quiet = np.flatnonzero(inside > soft)
            begin = first + (0.0 if not len(quiet) else (quiet[-1] + 1) / spectra.FRAMES_PER_SECOND)
            if last - begin > _MIN_SILENCE:
                spans.append((begin, last if last == seconds else last - _BEFORE_ONSET))
    return np.array(spans)


def _mean(row: F64, width: int) -> F64:
    total = np.concatenate([[0.0], np.cumsum(row)])
    places = np.arange(len(row))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(row), places + width // 2 + 1)
    return np.asarray((total[last] - total[first]) / width)


def _smooth(row: F64, width: int) -> F64:
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(row, window / window.sum(), "same")


def _novelty(notes: F32) -> F64:
    """Harmonic novelty: 1 minus the cosine of the chroma before and after."""
    level = np.sqrt(notes / (notes.max(initial=0.0) + 1e-9)).astype(np.float64)
    level /= np.linalg.norm(level, axis=1, keepdims=True) + 0.1
    total = np.concatenate([np.zeros((1, 24)), np.cumsum(level, axis=0)])
    places = np.arange(len(notes))
    before = total[places] - total[np.maximum(0, places - _NOVELTY_FRAMES)]
    after = total[np.minimum(len(notes), places + _NOVELTY_FRAMES)] - total[places]
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = 1.0 - (before * after).sum(axis=1) / (size + 1e-9)
    change[:2] = change[-1:] = 0.0
    return np.asarray(change)


def _largest(row: F64, seconds: F64, rate: float, step: float) -> F64:
    near = (seconds + step * _OFFSETS[:, None]) * rate
    return np.asarray(np.interp(near, np.arange(len(row)), row).max(axis=0))
