"""Strudel's oscillators and noises by name (`sawtooth`, `white`): computed, and repeated while a note lasts."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_sampler.library import Listing, SampleFiles, nearest_sampled
from antiphon_sampler.loops import sample_from_sound, with_repeated_loop
from antiphon_sampler.samples import Sample
from antiphon_sampler.sounds import Sounds

_Wave = NDArray[np.float64]
LEVEL, DULL = 0.3, 0.14
"""Factor of an oscillator, as in Strudel, where a sample has 1; and RMS of a noise."""
ENVELOPE = (0.001, 0.05, 0.6)
"""Seconds of attack and decay, and the level after them, of a note without an envelope of its own, as in Strudel."""
CRACKLES, CRACKLE = 24.0, 0.8
"""Crackles a second, and their greatest peak."""
SPREAD = (-2.5, -1.0, 0.0, 1.5, 3.0)
"""Distances in Hz of a supersaw's saws at C4, which repeat in two seconds."""
SECONDS, NOISE_SECONDS, TIMES = 1.0, 4.0, 64
"""Seconds of a note without an end, seconds of a noise, and maximum periods of a loop."""
HIGHEST = 19000.0
"""Hz of the highest partial."""
SAMPLED = tuple(range(24, 97, 12))
"""Notes at which an oscillator is computed; notes in between use the nearest."""
PULSE = 0.2
"""Pulse width as a share of the period."""
PITCHED = ("sine", "triangle", "square", "sawtooth", "pulse", "supersaw")
FULL = {"sine": 1.0, "triangle": 8 / math.pi**2, "square": 4 / math.pi, "sawtooth": 2 / math.pi, "pulse": 2 / math.pi}
"""Factors by which the sums of partials are waves from -1 to 1."""
COLORS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Noises by the slope of their spectrum, as an exponent of the frequency."""
NAMES = (*PITCHED, *COLORS, "crackle")


def nearest(row: int, note: int) -> tuple[int, float]:
    """Index of the oscillator's sample that plays a note, and its speed; a noise has no pitch."""
    return nearest_sampled(note, SAMPLED) if row < len(PITCHED) else (0, 1.0)


class Oscillators(Sounds):
    """The oscillators at a rate, in place of a folder's files."""

    def __init__(self, rate: int) -> None:
        folder = Path("oscillators")
        rows = tuple(
            tuple(
                SampleFiles(f"{name}/{note}", (folder / name / str(note),))
                for note in (SAMPLED if name in PITCHED else (0,))
            )
            for name in NAMES
        )
        super().__init__(Listing(folder, NAMES, rows, ()), rate)

    def warm(self) -> None:
        """Does nothing: no process decodes."""

    def _decode(self, path: Path) -> tuple[Sample, int]:
        name, number = path.parent.name, int(path.name)
        loop = _noise(name, self.rate) if number == 0 else _tone(name, number, self.rate)
        frames = round(SECONDS * self.rate)
        once = np.tile(loop, math.ceil(frames / len(loop)))[None, :frames].astype(np.float32)
        held = with_repeated_loop(once[:, :0], loop[None, :].astype(np.float32), 0, 1.0, self.rate)
        whole = sample_from_sound(once, self.rate)
        return replace(whole, held=held), whole.sound.nbytes + held.sound.nbytes


def _tone(name: str, note: int, rate: int) -> _Wave:
    """Whole periods of an oscillator at a note, in tune to less than a cent."""
    hertz = 440.0 * 2.0 ** ((note - 69) / 12.0)
    if name == "supersaw":
        seconds = min(4.0, 2.0 * 2.0 ** round(math.log2(261.63 / hertz)))
        bins = [round(seconds * (hertz + apart * hertz / 261.63)) for apart in SPREAD]
        total = sum(_wave("sawtooth", bins[n], round(seconds * rate), rate, n) for n in range(len(bins)))
        return LEVEL / math.sqrt(len(bins)) * np.asarray(total)
    period = rate / hertz
    times = min(range(1, TIMES + 1), key=lambda n: abs(round(n * period) / (n * period) - 1.0))
    return LEVEL * _wave(name, times, round(times * period), rate)


def _wave(name: str, periods: int, frames: int, rate: int, seed: int = 0) -> _Wave:
    """A band-limited wave of `periods` periods; `seed` 0 begins at 0."""
    count = max(1, min(int(HIGHEST * frames / (periods * rate)), (frames - 1) // (2 * periods)))
    n = np.arange(1, count + 1)
    phase = np.exp(2j * math.pi * n * np.random.default_rng(seed).uniform()) if seed else 1.0
    weights = {
        "sine": n == 1,
        "triangle": np.where(n % 2, np.sin(0.5 * math.pi * n) / n**2, 0.0),
        "square": (n % 2) / n,
        "sawtooth": (-1.0) ** (n + 1) / n,
        "pulse": (1.0 - np.exp(-2j * math.pi * PULSE * n)) / n,
    }[name]
    spectrum = np.zeros(frames // 2 + 1, np.complex128)
    spectrum[n * periods] = -1j * phase * weights * (FULL[name] * frames / 2.0)
    return np.asarray(np.fft.irfft(spectrum, frames), np.float64)


def _level(wave: _Wave, rms: float) -> _Wave:
    return np.asarray(wave * (rms / math.sqrt(float(np.mean(wave**2)))), np.float64)


def _noise(name: str, rate: int) -> _Wave:
    """Seeded noise that loops seamlessly."""
    frames = round(NOISE_SECONDS * rate)
    generator = np.random.default_rng(NAMES.index(name))
    if name == "crackle":
        made = np.zeros(frames)
        at = generator.integers(0, frames, round(CRACKLES * NOISE_SECONDS))
        made[at] = CRACKLE * generator.uniform(-1.0, 1.0, len(at))
        return made
    hertz = np.fft.rfftfreq(frames, 1.0 / rate)
    spectrum = np.exp(2j * math.pi * generator.uniform(size=len(hertz))) / np.maximum(hertz, 20.0) ** COLORS[name]
    spectrum[0] = 0.0
    return _level(np.fft.irfft(spectrum, frames), DULL)


@cache
def oscillators(rate: int) -> Oscillators:
    """Returns the oscillators at a rate, shared by all nodes."""
    return Oscillators(rate)
