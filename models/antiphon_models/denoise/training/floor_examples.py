"""Examples of `denoise-floor`: effect of the file mask on a mixture, band by band, and the ideal one."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from antiphon.api import F32
from antiphon.api.backends.signal import C64, SpectrumSizes, windows
from antiphon_denoise.bands import BINS, HOP
from antiphon_denoise.floor.network import describe, rows_of
from antiphon_denoise.learned import file_mask, tables
from antiphon_denoise.learned.tables import first_bins
from antiphon_models.denoise.training.floor_noises import MADE, level, shaped_as
from antiphon_models.denoise.training.sounds import RATE
from antiphon_models.material.sounds import resampled

KINDS = ("song", "song", "solo", "chorale", "kit", "voice", "voice", "voice", "patch", "mangled", "loop", "track")
SECONDS = (8, 5, 5, 4, 3)
LIMITER = 221
SIZES = SpectrumSizes(2048, HOP, 1)


class MaskSums:
    """Band sums of the file mask's effect on a mixture."""

    def __init__(self) -> None:
        weights = file_mask.load()
        assert weights is not None
        self._weights, self._window = weights, windows(SIZES)[0]
        self._unit = float(np.square(self._window).sum())
        self._first = first_bins()
        self._width = np.diff(np.append(self._first, BINS)).astype(np.float32)
        self._bands: F32 = np.ascontiguousarray((tables.per_unit() / self._width).T, np.float32)

    def of(self, mixed: NDArray[Any], noise: NDArray[Any] | None) -> tuple[F32, F32]:
        """Rows of `floor.features`; and for each band `[4, COUNT]`: power of the noise, what of it the mask takes, the
        power that the mask takes, and that of the mixture.
        """
        spectra = self._spectra(mixed)
        power = self._units(spectra, spectra)
        log = np.log(power / self._width + tables.QUIET).astype(np.float32)
        gain = file_mask.gains_of(self._weights, log, None)
        sums = np.zeros((4, len(tables.mean().T)), np.float32)
        if noise is not None:
            alone = self._spectra(noise)
            sums[0] = self._units(alone, alone).sum(0) @ self._bands
            sums[1] = ((1 - gain) * self._units(alone, spectra)).sum(0) @ self._bands
        sums[2] = (np.square(1 - gain) * power).sum(0) @ self._bands
        sums[3] = power.sum(0) @ self._bands
        return rows_of(log, gain), sums

    def _spectra(self, sound: NDArray[Any]) -> C64:
        padded = np.concatenate([np.zeros(SIZES.size - HOP, np.float32), sound.astype(np.float32)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, SIZES.size)[::HOP]
        return np.fft.rfft(frames * self._window).astype(np.complex64)

    def _units(self, one: C64, other: C64) -> F32:
        both = (one.real * other.real + one.imag * other.imag) / self._unit
        return np.asarray(np.add.reduceat(both, self._first, axis=1))


class FloorExamples:
    """Examples of `denoise-floor`, by number."""

    few: ClassVar[dict[str, int]] = {
        "song": 64, "solo": 64, "chorale": 20, "kit": 16, "voice": 64, "patch": 48, "mangled": 32, "loop": 999,
        "track": 999,
    }  # fmt: skip
    """Sounds per kind of the material."""

    def __init__(self, records: dict[str, list[Path]], folder: Path, clips: list[Path], seed: int) -> None:
        self._records, self._clips, self._seed = records, clips, seed
        every = {kind: sorted(folder.glob(f"train-{kind}-*.ogg"))[:count] for kind, count in self.few.items()}
        self._material = {kind: paths for kind, paths in every.items() if paths}
        self._sums = MaskSums()

    def make(self, numbers: Iterable[int]) -> dict[str, NDArray[Any]]:
        """Features `X`, sums `S`, `snr` in dB, 99 without noise, and the `source`'s name."""
        made = [self._example(number) for number in numbers]
        rows = (np.array(part) for part in zip(*made, strict=True))
        return dict(zip(("X", "S", "snr", "source"), rows, strict=True))

    def _example(self, number: int) -> tuple[F32, F32, float, str]:
        rng = np.random.default_rng((self._seed, number))
        count = int(RATE * rng.choice(SECONDS)) // HOP * HOP
        pools = self._records if rng.random() < 0.6 else self._material
        names = sorted(pools) if pools is self._records else [kind for kind in KINDS if kind in pools]
        source = str(rng.choice(names))

        def draw(pool: list[Path]) -> F32:
            return _cut(pool[rng.integers(len(pool))], count, rng)

        clean = _dense(lambda: draw(pools[source]), rng)
        loud = 10 ** (rng.uniform(-40, -9) / 20)
        clean = clean * loud
        if rng.random() < 0.4:
            hiss = 10 ** (-rng.uniform(70, 100) / 20) * loud * rng.standard_normal(count)
            rows, sums = self._sums.of(clean + hiss, None)
            return describe(rows), sums, 99.0, source
        snr = rng.uniform(-5, 25)
        if rng.random() < 0.45:
            noise: NDArray[Any] = draw(self._clips)
            if rng.random() < 0.15:
                noise = level(noise) + level(draw(self._clips))
        else:
            noise = MADE[rng.integers(len(MADE))](rng, count, lambda kind: draw(self._material[kind]))
        noise = level(noise) * loud * 10 ** (-snr / 20)
        rows, sums = self._sums.of(clean + noise, noise)
        return describe(rows), sums, snr, source


def _cut(path: Path, count: int, rng: np.random.Generator) -> F32:
    """Random mono excerpt of a file of `count` frames, looped where it is shorter."""
    info = soundfile.info(path)
    size = int(count * info.samplerate / RATE) + 8
    at = int(rng.uniform(0.05, 0.9) * max(0, info.frames - size))
    sound = soundfile.read(path, start=at, frames=size, dtype="float32", always_2d=True)[0].mean(axis=1)
    sound = resampled(sound, info.samplerate, RATE)
    return np.asarray(np.tile(sound, -(-count // max(1, len(sound))))[:count], np.float32)


def _dense(draw: Callable[[], F32], rng: np.random.Generator) -> NDArray[Any]:
    """Excerpt or sum of excerpts of a source, overdriven, limited or encoded."""
    made = level(draw())
    way = rng.random()
    if way < 0.15:
        for _ in range(rng.integers(1, 4)):
            made = made + level(draw()) * 10 ** (rng.uniform(-8, 2) / 20)
    elif way < 0.27:
        driven = np.tanh(made * 10 ** (rng.uniform(6, 30) / 20))
        made = shaped_as(driven, 0.0, 1.0, rng.uniform(3000, 14000))
        made = made + rng.choice([0, rng.uniform(0, 1.5)]) * level(draw())
    if rng.random() < 0.4:
        made = _limited(made, rng.uniform(3, 14))
    if rng.random() < 0.2:
        made = _coded(made / max(1, np.abs(made).max()), rng)
    return level(made)


def _limited(sound: NDArray[Any], decibels: float) -> NDArray[Any]:
    """Sound after gain and a look-ahead limiter."""
    loud = sound * 10 ** (decibels / 20) / max(0.3, np.abs(sound).max())
    envelope = uniform_filter1d(maximum_filter1d(np.abs(loud), LIMITER), LIMITER)
    return np.asarray(np.tanh(loud / np.maximum(1, envelope)))


def _coded(sound: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Sound after lossy coding as MP3 or Vorbis."""
    held = io.BytesIO()
    kind, loss = str(rng.choice(["MP3", "OGG"])), rng.uniform(0.3, 0.95)
    soundfile.write(held, sound, RATE, format=kind, compression_level=loss)
    held.seek(0)
    return np.asarray(np.resize(soundfile.read(held, dtype="float32")[0], len(sound)))
