"""Signals made and measured: what tests that render sound share.

Arrays are float32 `[channels, frames]`, times in seconds, levels in dBFS (a full-scale sine's peak is 0).
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48000


def sine(hertz: float, seconds: float, rate: int = RATE, level: float = -6.0, channels: int = 1) -> NDArray[np.float32]:
    """The same sine in every channel, beginning at phase 0."""
    phase = np.arange(round(seconds * rate)) * (2.0 * math.pi * hertz / rate)
    return np.tile((10.0 ** (level / 20.0) * np.sin(phase)).astype(np.float32), (channels, 1))


def sung(hertz: float, seconds: float, channels: int = 1) -> NDArray[np.float32]:
    """A held tone with overtones from half a second on, in soft noise: one note for whatever finds notes."""
    made = noise(round(seconds * RATE), channels, -60.0)
    for n in range(1, 8):
        made[:, RATE // 2 :] += sine(hertz * n, seconds - 0.5, level=-10.0 - 4.0 * n, channels=channels)
    return made


def noise(frames: int, channels: int = 1, level: float = -20.0, seed: int = 1) -> NDArray[np.float32]:
    """White noise of that RMS level, another one in each channel."""
    made = np.random.default_rng(seed).standard_normal((channels, frames)) * 10.0 ** (level / 20.0)
    return np.asarray(made, np.float32)


def clicks(at: list[int], frames: int, channels: int = 1, height: float = 0.5) -> NDArray[np.float32]:
    """Single samples of `height` at those frames."""
    made = np.zeros((channels, frames), np.float32)
    made[:, at] = height
    return made


def level(x: NDArray[np.float32]) -> float:
    """RMS over all samples, dBFS; -inf for silence."""
    power = float(np.mean(np.square(x, dtype=np.float64))) if x.size else 0.0
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def loudest(x: NDArray[np.float32], rate: int = RATE, window: float = 0.05) -> float:
    """RMS over all channels of the loudest window of that many seconds, dBFS."""
    size = round(window * rate)
    power = np.cumsum(np.concatenate([[0.0], np.square(x, dtype=np.float64).mean(axis=0)]))
    return 10.0 * math.log10(max(1e-20, float(np.max(power[size:] - power[:-size])) / size))


def centroid(x: NDArray[np.float32], rate: int = RATE) -> float:
    """Centre of the mean channel's spectrum, Hz."""
    mono = x.mean(axis=0, dtype=np.float64)
    magnitude = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    return float((magnitude * np.fft.rfftfreq(len(mono), 1 / rate)).sum() / max(float(magnitude.sum()), 1e-12))


def peak(x: NDArray[np.float32]) -> float:
    """The largest magnitude, 0 for nothing."""
    return float(np.max(np.abs(x))) if x.size else 0.0


def onsets(x: NDArray[np.float32], threshold: float = 0.1, gap: int = 16) -> list[int]:
    """Frames of the first channel where its magnitude rises above `threshold` after `gap` frames below it."""
    loud = np.flatnonzero(np.abs(x[0]) > threshold)
    if not len(loud):
        return []
    first = np.insert(np.diff(loud) > gap, 0, True)
    return [int(n) for n in loud[first]]


def attacks(x: NDArray[np.float32], rate: int = RATE, rise: float = 4.0, floor: float = -70.0) -> list[float]:
    """Seconds at which sound begins or is struck anew: where the level of its slope rises by `rise` dB in some 40 ms.

    Two within 80 ms are one. The first 60 ms are not looked at.
    """
    hop = rate // 200
    count = x.shape[1] // hop - 2
    slope = np.diff(x.mean(axis=0, dtype=np.float64))[: count * hop].reshape(count, hop)
    level = np.convolve(10.0 * np.log10(1e-10 + np.square(slope).mean(axis=1)), np.ones(3) / 3.0, "valid")
    found: list[int] = []
    for at in range(12, len(level)):
        if level[at] > floor and level[at] - level[at - 8 : at - 3].max() > rise and at - (found or [-16])[-1] >= 16:
            found.append(at)
    return [at * hop / rate for at in found]


def write(path: Path, x: NDArray[np.float32], rate: int = RATE, subtype: str | None = None) -> Path:
    """Writes a file for a test by soundfile alone, none of our code; the format follows the suffix."""
    import soundfile

    soundfile.write(str(path), x.T, rate, subtype=subtype)
    return path


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Reads a file by soundfile alone: samples and rate."""
    import soundfile

    samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), int(rate)
