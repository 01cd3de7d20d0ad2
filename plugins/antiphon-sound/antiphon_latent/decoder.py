"""Notes as levels of 40 partials and 16 noise bands in 64 frames: their measurement, and their decoder.

The decoder goes from latent position, pitch and velocity to levels of a note's frames; its inverse is here too.
"""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, FileError, note_number
from antiphon.api.backends.analysis import listening_mono
from antiphon.api.backends.files import printable_path, read_sound
from antiphon.api.backends.models import ModelError, read_weights

PARTIALS, BANDS = 40, 16
ROW = PARTIALS + BANDS
HELD, RELEASED = 52, 12
FRAMES = HELD + RELEASED
"""Numbers of frames of a held note, dense near its onset, and of its release."""
LONGEST, RINGS = 3.0, 0.8
"""Durations in seconds that the frames cover, of a held note and of its release."""
BEND, RELEASE_BEND = 1.7, 1.5
TIMES = LONGEST * (np.arange(HELD) / (HELD - 1)) ** BEND
RELEASE_TIMES = RINGS * (np.arange(RELEASED) / (RELEASED - 1)) ** RELEASE_BEND
EDGES = np.geomspace(100.0, 16000.0, BANDS + 1)
"""Edges of the noise bands in Hz."""
FLOOR = -80.0
"""Floor in dB below a note's loudest frame."""
PERIODS, NOISE_PERIODS = 4, 9
"""Windows: Hann's, which separates partials, and Blackman's, to measure noise between partials."""


def hz_of(pitch: float) -> float:
    """Converts a note number to Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def measure(sound: F32, rate: int, hz: float, end: int) -> tuple[F32, NDArray[np.bool_]]:
    """Measures the frame levels of a note of fundamental `hz` with note-off at frame `end`.

    Returns dB `[FRAMES, ROW]`, 0 dB being the power of its loudest frame, and a mask of valid levels: partials within
    the rate's range, in frames before the sound's end.
    """
    at = np.concatenate([np.minimum(TIMES * rate, end - 1), end + RELEASE_TIMES * rate])
    count = int(min(PARTIALS, 0.48 * rate // hz))
    power = np.full((FRAMES, ROW), 0.0)
    length = max(16, round(PERIODS * rate / hz))
    window = np.hanning(length + 1)[:-1]
    turns = np.exp(-2j * np.pi * hz / rate * np.outer(np.arange(length), np.arange(1, count + 1)))
    heard = np.abs(_windows(sound, at, length) * window @ turns) / (0.5 * window.sum())
    power[:, :count] = 0.5 * heard**2
    length = max(1024, round(NOISE_PERIODS * rate / hz))
    window = np.blackman(length + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(_windows(sound, at, length) * window, axis=1)) ** 2 / np.sum(window**2)
    frequency = np.arange(spectrum.shape[1]) * rate / length
    apart = np.abs(frequency / hz - np.round(frequency / hz)) > 0.34
    apart |= frequency < 0.66 * hz
    for band, (low, high) in enumerate(itertools.pairwise(EDGES)):
        within = apart & (frequency >= low) & (frequency < high)
        if within.any():
            # the median of noise's power is ln 2 of its mean, and passes over single tones
            density = np.median(spectrum[:, within], axis=1) / np.log(2.0)
            power[:, PARTIALS + band] = density * (high - low) / (0.5 * rate)
    loudest = max(1e-12, float(power[:HELD].sum(axis=1).max()))
    there = np.ones((FRAMES, ROW), bool)
    there[:, count:PARTIALS] = False
    there[:HELD][TIMES * rate > max(len(sound), 1)] = False
    there[HELD:] &= end + RELEASE_TIMES[:, None] * rate < len(sound)
    level = 10.0 * np.log10(np.maximum(power / loudest, 10.0 ** (FLOOR / 10.0)))
    return level.astype(np.float32), there


def _windows(sound: F32, at: F64, length: int) -> F32:
    """Windows around positions, none starting before the sound, so that attacks stay sharp."""
    padded = np.pad(sound, (0, int(at.max()) + length))
    first = np.maximum(0, np.round(at).astype(int) - length // 2)
    return np.asarray(padded[first[:, None] + np.arange(length)], np.float32)


def onset_frame(sound: F32) -> int:
    """Onset frame of a note: 34 dB below its peak."""
    loud = np.abs(sound) > 0.02 * max(1e-9, float(np.abs(sound).max(initial=0.0)))
    return int(loud.argmax())


AXES = 8
CONDITIONS = 5
LEVEL_FRAMES = (2, 6, 10, 16, 24, 36)
"""Frames whose maximum level normalises a note."""
LOUD_SHARES = np.array(
    ((0.08, 0.16, 0.26, 0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 0.25, 0.25, 0.0), (0.0, 0.0, 0.0, 0.0, 0.25, 0.25)), np.float32
)
"""Share of each level frame in the power of a note's beginning, middle and end; the maximum is the note's loudness.

Middle and end count half, as short notes have only the beginning."""
LOW, HIGH = 33.0, 93.0
"""Range of note numbers within which timbre changes with pitch."""
AXIS_RANGE = 4.0
"""Range of a latent axis, in both directions; 1 is a standard deviation of the training notes."""


def conditions(pitch: NDArray[Any], velocity: NDArray[Any]) -> F32:
    """The conditions of notes `[n]`, float32 `[n, CONDITIONS]`. velocity: 0 to 1."""
    p, v = (np.clip(pitch, LOW, HIGH) - 60.0) / 24.0, 2.0 * np.asarray(velocity) - 1.0
    return np.stack([p, p**2, p**3, v, v * p], axis=-1).astype(np.float32)


class PartialDecoder:
    """Decoder: layers of tanh, none for PCA, then a linear output for each frame.

    The output is `rows` `[FRAMES, ROW, width]` times the hidden layer plus `base`, in dB `[FRAMES, ROW]`.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Loads the arrays of a model. Raises `ModelError`: they do not fit."""
        try:
            read = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
            self.axes = read["axes"]
            self.hidden = [(read[f"w{n}"], read[f"b{n}"]) for n in range(8) if f"w{n}" in read]
            self.rows, self.base = read["rows"], read["base"]
            widths = [AXES + CONDITIONS, *(len(bias) for _, bias in self.hidden)]
            self.width = widths[-1]
            shapes = [self.axes.shape, self.rows.shape, self.base.shape, *(weight.shape for weight, _ in self.hidden)]
            wanted = [(AXES, AXES), (FRAMES, ROW, self.width), (FRAMES, ROW), *zip(widths[1:], widths, strict=False)]
        except (KeyError, TypeError) as error:
            raise ModelError(f"these weights are no model of latent: {error}") from None
        if shapes != wanted or not all(np.isfinite(array).all() for array in read.values()):
            raise ModelError(f"these weights are no model of latent: arrays of {shapes}, not {wanted}")
        self._sounded = np.ascontiguousarray(self.rows[list(LEVEL_FRAMES)].reshape(-1, self.width).T)
        self._sounded_base = self.base[list(LEVEL_FRAMES)].reshape(-1)
        self._parts = np.zeros(len(LOUD_SHARES), np.float32)
        self._power, self._sums = np.zeros(len(LEVEL_FRAMES) * ROW, np.float32), np.zeros(len(LEVEL_FRAMES), np.float32)

    def inputs(self, place: NDArray[Any], pitch: NDArray[Any], velocity: NDArray[Any]) -> F32:
        """Inputs of `hidden_of`, `[n, AXES + CONDITIONS]`, for positions `[n, AXES]`."""
        return np.concatenate([np.asarray(place, np.float32) @ self.axes, conditions(pitch, velocity)], axis=1)

    def hidden_of(self, inputs: F32, out: list[F32]) -> F32:
        """Computes the last hidden layer; `out` holds arrays of the layers' outputs, of `buffers`."""
        for (weight, bias), y in zip(self.hidden, out, strict=True):
            np.matmul(inputs, weight.T, out=y)
            np.add(y, bias, out=y)
            np.tanh(y, out=y)
            inputs = y
        return inputs

    def buffers(self, notes: int) -> list[F32]:
        """Output buffers of `hidden_of` for `notes` notes."""
        return [np.zeros((notes, len(bias)), np.float32) for _, bias in self.hidden]

    def loudest(self, hidden: F32) -> F32:
        """Maximum level in dB over the frames `LEVEL_FRAMES`, `[n]`."""
        peaks = []
        for row in hidden:
            self._measure(row)
            peaks.append(10.0 * math.log10(float(self._sums.max()) + 1e-9))
        return np.array(peaks, np.float32)

    def loudness(self, hidden: F32) -> float:
        """Loudness in dB of a note `[width]`, of the loudest row of `LOUD_SHARES`, without allocation."""
        self._measure(hidden)
        np.matmul(LOUD_SHARES, self._sums, out=self._parts)
        return 10.0 * math.log10(float(self._parts.max()) + 1e-9)

    def _measure(self, hidden: F32) -> None:
        np.matmul(hidden, self._sounded, out=self._power)
        np.add(self._power, self._sounded_base, out=self._power)
        np.multiply(self._power, np.float32(np.log(10.0) / 10.0), out=self._power)
        np.exp(self._power, out=self._power)
        np.sum(self._power.reshape(len(LEVEL_FRAMES), ROW), axis=1, out=self._sums)

    def notes(self, place: NDArray[Any], pitch: NDArray[Any], velocity: NDArray[Any]) -> F32:
        """Complete notes, dB `[n, FRAMES, ROW]`, level-normalised."""
        hidden = self.hidden_of(self.inputs(place, pitch, velocity), self.buffers(len(place)))
        level = (hidden @ self.rows.reshape(-1, self.width).T).reshape(-1, FRAMES, ROW) + self.base
        return np.asarray(level - self.loudest(hidden)[:, None, None], np.float32)

    def find(self, level: F32, there: NDArray[np.bool_], pitch: float, velocity: float) -> tuple[F32, float]:
        """Finds the position `[AXES]` of a measured note, and the mean residual in dB (damped Gauss-Newton).

        level: dB `[FRAMES, ROW]`; there: mask of valid levels; velocity: 0 to 1.
        """

        def difference(places: F32) -> F32:
            count = len(places)
            made = self.notes(places, np.full(count, pitch), np.full(count, velocity))
            return np.maximum(made, -80.0)[:, there] - level[there]

        best, least = np.zeros(AXES, np.float32), np.inf
        for start in (s * np.eye(AXES)[0] for s in (0.0, -1.5, 1.5)):
            place, damping = start.astype(np.float32), 1.0
            off = difference(place[None])[0]
            error = float(off @ off) / off.size + 0.3 * float(place @ place)
            for _ in range(12):
                moved = difference(place + 0.05 * np.eye(AXES, dtype=np.float32))
                slope = (moved - off) / (0.05 * np.sqrt(off.size))
                pull = slope @ off / np.sqrt(off.size) + 0.3 * place
                step = np.linalg.solve(slope @ slope.T + (0.3 + damping) * np.eye(AXES), pull)
                tried = np.clip(place - step, -AXIS_RANGE, AXIS_RANGE).astype(np.float32)
                left = difference(tried[None])[0]
                now = float(left @ left) / left.size + 0.3 * float(tried @ tried)
                if now < error:
                    place, off, damping = tried, left, damping / 3.0
                    error, gained = now, error - now
                    if gained < 1e-3 * now:
                        break
                else:
                    damping *= 4.0
            if error < least:
                best, least = place, error
        off = difference(best[None])[0]
        return best, float(np.sqrt(np.mean(off**2)))


def load(own: str) -> PartialDecoder:
    """Loads the shipped decoder, or one from `antiphon train notes`. Raises ModelError: it is missing or no decoder."""
    if own:
        path = Path(own)
        return PartialDecoder(read_weights(path.stem, path.parent))
    return PartialDecoder(read_weights("latent-pca"))


RATE = 44100
LOWEST, HIGHEST = 50.0, 2000.0
"""Range of detectable pitches in Hz."""
VELOCITY = 0.8
"""Assumed velocity of a recording."""


def pitch_of(sound: F32, rate: int) -> float:
    """Fundamental in Hz, by the normalised autocorrelation (McLeod and Wyvill 2005); median of five positions."""
    length = round(4.0 * rate / LOWEST)
    energy = np.convolve(np.square(sound, dtype=np.float64), np.ones(64), "same")
    loudest = int(energy.argmax())
    found = []
    for n in range(5):
        first = min(loudest + n * length // 2, max(0, len(sound) - length))
        x = np.pad(sound[first : first + length], (0, max(0, length - len(sound)))).astype(np.float64)
        spectrum = np.fft.rfft(x, 2 * length)
        own = np.fft.irfft(np.abs(spectrum) ** 2)[:length]
        squares = np.concatenate([[0.0], np.cumsum(x**2)])
        lags = np.arange(length // 2)
        both = squares[length - lags] + squares[length] - squares[lags]
        clear = 2.0 * own[: length // 2] / np.maximum(both, 1e-12)
        low, high = int(rate / HIGHEST), int(rate / LOWEST)
        inside = clear[low - 1 : high + 2]
        peaks = np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:])) + 1
        if not len(peaks) or inside[peaks].max() <= 0.0:
            continue  # no peak in range: it has no pitch there
        best = peaks[np.flatnonzero(inside[peaks] > 0.9 * inside[peaks].max())[0]]
        a, b, c = inside[best - 1 : best + 2]
        found.append(rate / (low - 1 + best + 0.5 * (a - c) / min(-1e-12, a - 2.0 * b + c)))
    return float(np.median(found)) if found else 261.6


def place_of(path: str, decoder: PartialDecoder) -> tuple[F32, float]:
    """Latent position of the note in a file, `[AXES]`, and the mean residual in dB.

    Raises FileError: the file cannot be read, or is silent.
    """
    sound = listening_mono(read_sound(Path(path), rate=RATE).samples)
    if float(np.abs(sound).max(initial=0.0)) < 1e-4:
        raise FileError(f"{printable_path(path)} is silent; give `like` a file with one note")
    sound = sound[onset_frame(sound) :][: round((LONGEST + 1.0) * RATE)]
    hz = pitch_of(sound, RATE)
    level, there = measure(sound, RATE, hz, len(sound))
    return decoder.find(level, there, note_number(hz), VELOCITY)
