"""Struck, plucked and pure tones in files, missed by a network trained on voices.

In such sounds the network finds several voices, as notes overlap. At each attack, earlier sound is subtracted and the
rest compared with harmonics of each pitch. If one pitch explains it at most attacks, the sound is such a line.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, Samples
from antiphon_hum.quantise import FrameNote

MIN_PURE_SHARE = 0.95
"""Minimum share of a sound's energy explained by notes of pure tones."""
WINDOW = 4096
LOBE = 3
"""Half-width in bins of a tone under a Hann window, with one to spare."""
_LOWEST_TONE = 2
"""First bin that may be a tone; lower bins are DC offset."""
_PIECE = 1 << 16
"""Frames per batch of spectra."""


class PureTones:
    """Measures the tonality of a streamed sound at one rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._window = np.hanning(WINDOW)
        self._rest: F32 = np.zeros(0, np.float32)
        self._total: list[F64] = []
        self._peak: list[F64] = []
        self._bin: list[F64] = []

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[channels, n]` of the sound."""
        for at in range(0, sound.shape[1], _PIECE):
            self._take(np.mean(sound[:, at : at + _PIECE], axis=0, dtype=np.float32))

    def _take(self, mono: F32) -> None:
        self._rest = np.concatenate([self._rest, mono])
        if len(self._rest) < WINDOW:
            return
        parts = np.lib.stride_tricks.sliding_window_view(self._rest, WINDOW)[:: WINDOW // 2]
        power = np.abs(np.fft.rfft(parts * self._window)) ** 2
        power[:, :_LOWEST_TONE] = 0.0
        highest = power.argmax(axis=1)
        near = np.clip(highest[:, None] + np.arange(-LOBE, LOBE + 1), 0, power.shape[1] - 1)
        self._total.append(power.sum(axis=1))
        self._peak.append(np.minimum(np.take_along_axis(power, near, 1).sum(axis=1), self._total[-1]))
        self._bin.append(highest.astype(np.float64))
        self._rest = self._rest[len(parts) * (WINDOW // 2) :].copy()

    def pure_share(self) -> float:
        """Share of the energy at a single frequency at a time, 0 to 1."""
        return self._share(np.ones(sum(map(len, self._total)), bool))

    def explained_share(self, notes: Sequence[FrameNote]) -> float:
        """The share of the energy that lies at the pitches of notes while they sound, 0 to 1."""
        places = np.concatenate(self._bin) if self._bin else np.zeros(0)
        middles = (np.arange(len(places)) + 1.0) * (WINDOW // 2)
        kept = np.zeros(len(places), bool)
        for note in notes:
            hertz = 440.0 * 2.0 ** ((note.number - 69) / 12 + np.array([-1.0, 1.0]) / 12)
            low, high = hertz * WINDOW / self._rate
            kept |= (middles >= note.start) & (middles < note.end) & (places > low - 1.0) & (places < high + 1.0)
        return self._share(kept)

    def _share(self, kept: NDArray[np.bool_]) -> float:
        if not self._total:
            return 0.0
        return float(np.concatenate(self._peak)[kept].sum() / (np.concatenate(self._total).sum() + 1e-12))


RATE = 22050
MAX_SECONDS = 600
"""Maximum length of analysed sound in seconds."""
MIN_LINE_SHARE = 0.7
"""Minimum share of attacks that one pitch each explains."""
_ALONE, _KEPT = 0.9, 0.6
"""Minimum shares of an attack's energy at its pitch's harmonics, for a certain note, and for a note of a line."""
_MIN_RELATIVE_SHARE = 0.93
"""Share of the best pitch's energy that a higher pitch needs to replace it: an octave below explains as much."""
_SIZE, _SHORT, _HOP = 4096, 1024, 220
"""Window lengths in frames of pitch and of attacks, and the hop, 10 ms."""
_BINS = 800
"""Number of analysed bins, up to 4.3 kHz."""
_FIRST_BIN = 10
"""First bin of a possible pitch: 54 Hz."""
_LOWEST, _HIGHEST = 36, 107
_MIN_RISE, _QUIETEST = 0.04, 0.003
"""Minimum energy that an attack adds, relative to the sound before: a release spreads the spectrum by less;
and minimum level of a note relative to the loudest."""
_MIN_FUNDAMENTAL = 0.1
"""Minimum level of the fundamental or the octave relative to the strongest bin."""
_APART, _AROUND = 6, 40
"""Minimum distance of attacks in steps, and half-width in steps of the mean rise that they are compared with."""
_ABOVE = 1.6
_LATENCY_FRAMES = 440
"""Latency of attack detection in frames."""


class StruckLine:
    """Transcribes a struck line from streamed sound at `RATE`."""

    def __init__(self) -> None:
        self._pieces: list[F32] = []
        self._frames = 0

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[1, n]` of the sound."""
        if self._frames < MAX_SECONDS * RATE:
            self._pieces.append(sound[0].copy())
        self._frames += sound.shape[1]

    def notes(self, lowest: int, highest: int) -> list[FrameNote]:
        """Notes of the line, in frames at `RATE`; empty for other sounds."""
        if self._frames > MAX_SECONDS * RATE or not self._pieces:
            return []
        mono = np.concatenate([np.zeros(_SIZE, np.float32), *self._pieces, np.zeros(2 * _SIZE, np.float32)])
        attacks = _attacks(mono)
        found = [self._pitch(mono, at) for at in attacks]
        loudest = max((level for *_, level in found), default=0.0)
        begun = [alone >= _ALONE for _, alone, level in found if level > _QUIETEST * loudest]
        if len(begun) < 3 or np.mean(begun) < MIN_LINE_SHARE:
            return []
        notes = []
        for n, (pitch, alone, level) in enumerate(found):
            edges = [*attacks, self._frames + _SIZE + _LATENCY_FRAMES]
            begin, end = (max(0, min(self._frames, edge - _SIZE - _LATENCY_FRAMES)) for edge in edges[n : n + 2])
            if level > _QUIETEST * loudest and alone >= _KEPT and lowest <= pitch <= highest and end > begin:
                velocity = float(np.clip(0.75 + 0.25 * np.log10(level / loudest + 1e-9), 0.25, 1.0))
                notes.append(FrameNote(begin, end, pitch, velocity, float(pitch)))
        return notes

    def _pitch(self, mono: F32, at: int) -> tuple[int, float, float]:
        """Pitch of an attack, its explained share of the energy, and its level; 0 where a note is released."""
        after, before = (_spectrum(mono[first : first + _SIZE]) for first in (at, at - _SIZE))
        rise = np.maximum(0.0, after - before)
        rise[:_FIRST_BIN] = 0.0  # an offset that a string keeps, and rumble
        total = float(np.sum(rise**2)) + 1e-12
        shares = np.array([_harmonic_energy_share(rise, pitch, total) for pitch in range(_LOWEST, _HIGHEST + 1)])
        place = int(np.flatnonzero(shares >= _MIN_RELATIVE_SHARE * shares.max())[-1])
        released = total < _MIN_RISE * float(np.sum(before[_FIRST_BIN:] ** 2))
        return _LOWEST + place, float(shares[place]), 0.0 if released else float(np.sqrt(total))


def _harmonic_energy_share(rise: F64, pitch: int, total: float) -> float:
    """Share of the energy at the harmonics of a pitch; 0 where its first two are missing."""
    first = 440.0 * 2.0 ** ((pitch - 69) / 12.0) * _SIZE / RATE
    count = int((_BINS - 3) / first)
    kept = np.zeros(_BINS, bool)
    for number in range(1, count + 1):
        # strings are a little sharp in their high harmonics
        middle, wide = number * first, 1.6 + 0.006 * number * first
        kept[max(0, round(middle - wide)) : round(middle + wide) + 1] = True
    own = max(
        (rise[max(0, round(n * first) - 2) : round(n * first) + 3].max() for n in (1, 2) if n <= count), default=0.0
    )
    return float(np.sum(rise[kept] ** 2)) / total if own > _MIN_FUNDAMENTAL * rise.max() else 0.0


def _attacks(mono: F32) -> list[int]:
    """Attack positions in frames of `mono`."""
    window = np.hanning(_SHORT)
    frames = np.lib.stride_tricks.sliding_window_view(mono, _SHORT)[::_HOP]
    before = np.zeros((0, _SHORT // 2 + 1))
    parts = []
    for first in range(0, len(frames), 2000):
        power = np.abs(np.fft.rfft(frames[first : first + 2000] * window))
        held = np.concatenate([before if len(before) else power[:1].repeat(3, axis=0), power])
        parts.append(np.maximum(0.0, np.log1p(30.0 * held[3:]) - np.log1p(30.0 * held[:-3])).sum(axis=1))
        before = held[-3:]
    rise = np.concatenate(parts)
    wide = np.ones(2 * _AROUND + 1) / (2 * _AROUND + 1)
    mean = np.convolve(np.pad(rise, _AROUND, mode="reflect"), wide, "valid")
    found: list[int] = []
    for n in np.flatnonzero((rise > _ABOVE * mean) & (rise > 0.15 * rise.max())):
        near = rise[max(0, n - _APART) : n + _APART + 1]
        if rise[n] >= near.max() and (not found or n - found[-1] > _APART):
            found.append(int(n))
    # a window's rise is greatest when the attack is past its middle
    return [n * _HOP + _SHORT // 2 + _HOP for n in found if n * _HOP + _SHORT >= _SIZE]


def _spectrum(frame: F32) -> F64:
    return np.abs(np.fft.rfft(frame * np.hanning(_SIZE)))[:_BINS]
