"""`mode=instrument`: plays pitch and level of one voice with harmonics and noise of a learned instrument.

A network of four layers maps pitch, level and their movement to the levels of `HARMONICS` harmonics and of noise in
`NOISES` bands. After Engel et al., DDSP, 2020, but trained on measured levels, not on sound.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, FileError, Step, frequency
from antiphon.api.backends.models import Linear, ModelError, SiluLinear, find_array, read_weights
from antiphon.api.backends.signal import CENTRE, HIGHEST, HISTORY, HOP, LOWEST, Decimator, MedianPitch, Yin, hann
from antiphon.api.kernels import HopPlace, f32p, f64, f64p, i64, kernel
from antiphon.networks.model_files import names as model_names
from antiphon_transfer.stream import Framing, PeakLimiter

LAG = 2
"""Delay of the median pitch in hops."""
ANALYSIS_LAG = CENTRE + LAG * HOP
"""Decimated samples from the centre of the analysed sound to the end of the newest hop."""
HALF_WINDOW = 256
"""Half-width of the level window in decimated samples: 21 ms in all."""
DECAY, LEAST, RANGE = 0.01, -70.0, 50.0
"""Decay of the loudest level in dB per hop; its lower bound; range of the relative level."""
CENTRES = np.arange(LOWEST, HIGHEST + 1, 5.0)
FEATURES = 7 + len(CENTRES)
STEPS = (4, 16)
"""Hops over which the level's slope is measured."""


class VoiceTracker:
    """Features `[FEATURES]` of the newest hop; the caller fills the decimator.

    `pitch`: MIDI number, that of the last `voiced` hop in unvoiced ones, 0 before the first; `level`: dBFS.
    """

    def __init__(self, decimator: Decimator) -> None:
        self._decimator = decimator
        self._yin, self._median = Yin(decimator.rate), MedianPitch(LAG)
        window = np.hanning(2 * HALF_WINDOW + 1)[:-1]
        self._weights: F32 = (window / window.sum()).astype(np.float32)
        self._power: F32 = np.zeros(2 * HALF_WINDOW, np.float32)
        self._levels: F64 = np.zeros(max(STEPS) + 1)
        self.features: F32 = np.zeros(FEATURES, np.float32)
        self._near: F64 = np.zeros(len(CENTRES))
        self.reset()

    def reset(self) -> None:
        """Clears the past; the caller resets the decimator."""
        self._median.reset()
        self._levels.fill(LEAST)
        self._loudest = LEAST
        self.pitch, self.level, self.voiced = 0.0, LEAST, False
        self._before = 0.0
        self._held = 0

    def step(self) -> None:
        """Measures the features of the complete hop."""
        sound = self._decimator.newest(HISTORY)
        found = self._median.step(self._yin.find(sound, LOWEST, HIGHEST))
        middle = HISTORY - ANALYSIS_LAG
        part = sound[middle - HALF_WINDOW : middle + HALF_WINDOW]
        np.multiply(part, part, out=self._power)
        self.level = max(LEAST, 10.0 * math.log10(float(np.dot(self._power, self._weights)) + 1e-12))
        self._levels[1:] = self._levels[:-1]
        self._levels[0] = self.level
        self._loudest = max(self.level, self._loudest - DECAY, LEAST)
        self.voiced = found > 0.0
        moved = 0.0
        if self.voiced:
            moved = found - self.pitch if self._held else 0.0
            self.pitch = found
            self._held += 1
        else:
            self._held = 0
        x = self.features
        x[0] = (self.pitch - 60.0) / 24.0
        x[1] = max(self.level - self._loudest, -RANGE) / 25.0 + 1.0
        for n, step in enumerate(STEPS):
            x[2 + n] = min(max((self.level - self._levels[step]) / 10.0, -2.0), 2.0)
        x[4] = math.log1p(self._held) / 5.0
        x[5] = math.exp(-self._held / 8.0)
        x[6] = min(max(moved, -1.0), 1.0)
        np.subtract(CENTRES, self.pitch, out=self._near)
        np.multiply(self._near, self._near, out=self._near)
        np.multiply(self._near, -1.0 / 32.0, out=self._near)
        np.exp(self._near, out=x[7:], casting="same_kind")


HARMONICS, NOISES, WIDTH = 64, 24, 288
PREFIX = "timbre-"
"""Prefix of the network's weight names."""
HIGHEST_PARTIAL, TOP = 0.45, 20000.0
"""Upper limits of frequency: as a share of the sample rate, and in Hz."""
FADE = 0.25
"""Smoothing coefficient per hop of the fade between voiced and unvoiced."""
SILENT = -69.0
TAU = 2.0 * math.pi


@kernel
def transfer_harmonics(
    out: f32p, frames: i64, before: f64p, now: f64p, count: i64, first: f64, last: f64, phase: f64p
) -> None:
    """out `[frames]` ← `count` harmonic sines, with amplitudes and frequency interpolated linearly.

    Amplitudes go from `before` to `now`, frequency in cycles per sample from `first` to `last`; the fundamental's
    phase, in cycles, is advanced.
    """
    p = phase[0]
    for n in range(frames):
        t = f64(n + 1) / f64(frames)
        p = p + first + (last - first) * t
        p = p - 1.0 if p >= 1.0 else p
        twice = 2.0 * math.cos(TAU * p)
        older = f64(0.0)
        newer = math.sin(TAU * p)
        total = f64(0.0)
        for k in range(count):
            total = total + newer * (before[k] + (now[k] - before[k]) * t)
            following = twice * newer - older
            older = newer
            newer = following
        out[n] = total
    phase[0] = p


def noise_bands(hertz: F64) -> F64:
    """Overlapping bands of equal width on the ERB scale up to `TOP`: `[NOISES, bins]`, their sum 1 below it."""
    place = np.log10(1.0 + 0.00437 * hertz)
    step = math.log10(1.0 + 0.00437 * TOP) / (NOISES - 1)
    inside = np.maximum(0.0, 1.0 - np.abs(place / step - np.arange(NOISES)[:, None]))
    return np.asarray(inside * (hertz <= TOP), np.float64)


def shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of a network's arrays, by name."""
    sizes = (FEATURES, WIDTH, WIDTH, WIDTH, HARMONICS + NOISES)
    weights = {f"{n}.weight": (sizes[n + 1], sizes[n]) for n in range(4)}
    return weights | {f"{n}.bias": (sizes[n + 1],) for n in range(4)}


def names() -> list[str]:
    """Names of the installed instruments."""
    return sorted(name.removeprefix(PREFIX) for name in model_names() if name.startswith(PREFIX))


def read(instrument: str, file: str) -> dict[str, F32]:
    """Reads the arrays of an instrument, installed or from `antiphon train timbre`. Raises FileError: there is none."""
    try:
        arrays = read_weights(Path(file).stem, Path(file).parent) if file else read_weights(PREFIX + instrument)
        return {name: find_array(arrays, name, *shape) for name, shape in shapes().items()}
    except ModelError as error:
        if file:
            raise FileError(f"{Path(file).name} is no instrument that antiphon train timbre wrote: {error}") from None
        raise FileError(f"there is no instrument {instrument!r} ({error}); there are: {', '.join(names())}") from None


class InstrumentPlayer:
    """Plays one voice by an instrument, `latency` frames late. Allocates nothing after its construction."""

    def __init__(self, arrays: dict[str, F32], rate: int, channels: int) -> None:
        self._decimator = Decimator(rate)
        self._tracker = VoiceTracker(self._decimator)
        hop = self._hop = self._decimator.hop * self._decimator.factor
        self.latency = ANALYSIS_LAG * self._decimator.factor + self._decimator.lag + 2 * hop
        layers = [(arrays[f"{n}.weight"], arrays[f"{n}.bias"]) for n in range(4)]
        self._layers = [SiluLinear(*layers[0]), SiluLinear(*layers[1]), SiluLinear(*layers[2]), Linear(*layers[3])]
        self._rate = rate
        self._numbers = np.arange(1.0, HARMONICS + 1.0)
        self._heard = np.zeros(HARMONICS, np.bool_)
        self._target: F64 = np.zeros(HARMONICS + NOISES)
        self._before: F64 = np.zeros(HARMONICS)
        self._now: F64 = np.zeros(HARMONICS)
        self._phase: F64 = np.zeros(1)
        grid = Framing(2 * hop, rate)
        self._spread: F32 = noise_bands(grid.hertz).astype(np.float32)
        self._share: F64 = self._spread.sum(axis=1).astype(np.float64) * rate / grid.size
        self._highest = min(HIGHEST_PARTIAL, TOP / rate)
        self._bands: F32 = np.zeros(NOISES, np.float32)
        self._gain: F32 = np.zeros(grid.bins, np.float32)
        self._noise: F32 = np.zeros(2 * hop, np.float32)
        self._window: F32 = np.sqrt(hann(2 * hop))
        self._bins = np.zeros(grid.bins, np.complex64)
        self._rest: F32 = np.zeros(2 * hop, np.float32)
        self._one: F32 = np.zeros(hop, np.float32)
        # the limiter looks a hop ahead
        self._limiter = PeakLimiter(Framing(4 * hop, rate), channels)
        self._made: F32 = np.zeros((channels, 4 * hop), np.float32)
        self._dry: F32 = np.zeros((channels, self.latency + hop), np.float32)
        self._hop_of_dry, self.place = self._dry[:, self.latency :], HopPlace(hop)
        self._silence: F32 = np.zeros((channels, 4 * hop), np.float32)
        self._ready: F32 = np.zeros((channels, hop), np.float32)
        self._part: F32 = np.zeros((channels, hop), np.float32)
        self._random = np.random.Generator(np.random.PCG64(1))
        self._seeded = self._random.bit_generator.state
        self.reset()

    def reset(self) -> None:
        """Clears the input and the oscillators."""
        self._decimator.reset()
        self._tracker.reset()
        self._limiter.reset()
        for array in (self._before, self._now, self._phase, self._rest, self._made, self._dry, self._ready):
            array.fill(0.0)
        self._random.bit_generator.state = self._seeded
        self.place.clear()
        self._sounding = 0.0
        self._cycles = 0.0

    def take(self, sound: F32, out: F32, first: int) -> int:
        """Fills the current hop from frame `first`, writing as many output frames; returns the next unread frame."""
        self._decimator.take(sound, first, sound.shape[1])
        return self.place.swap(sound, self._hop_of_dry, self._ready, out, first)

    def block(self, sound: F32, out: F32) -> Step:
        """Step of a block within the hop."""
        return self.place.step(sound, self._hop_of_dry, self._ready, out).then(self._decimator.step(sound))

    @property
    def full(self) -> bool:
        """Whether a hop is complete; if so, call `step`."""
        return self._decimator.full

    def step(self, amount: float) -> None:
        """Synthesises the next hop; `amount`: 0 leaves the input unchanged, 1 outputs only the instrument."""
        hop, made = self._hop, self._made
        self._tracker.step()
        self._decimator.turn()
        self.place.begin()
        self._play()
        made[:, :hop] = made[:, hop : 2 * hop]
        made[:, hop : 2 * hop] = self._one
        self._limiter.apply(made, self._silence)
        np.multiply(made[:, :hop], np.float32(amount), out=self._ready)
        np.multiply(self._dry[:, hop : 2 * hop], np.float32(1.0 - amount), out=self._part)
        np.add(self._ready, self._part, out=self._ready)
        self._dry[:, :-hop] = self._dry[:, hop:]

    def _play(self) -> None:
        """`_one` ← the next hop of the instrument."""
        tracker = self._tracker
        goal = 1.0 if tracker.voiced and tracker.level > SILENT else 0.0
        self._sounding += FADE * (goal - self._sounding)
        if goal == 0.0 and self._sounding < 1e-3:
            self._sounding = 0.0
        self._before[:] = self._now
        self._predict()
        cycles = frequency(tracker.pitch) / self._rate if tracker.pitch > 0.0 else 0.0
        if not self._before.any():
            self._cycles = cycles
        transfer_harmonics(self._one, self._hop, self._before, self._now, HARMONICS, self._cycles, cycles, self._phase)
        self._cycles = cycles
        self._add_noise_frame()
        np.add(self._one, self._rest[: self._hop], out=self._one)

    def _predict(self) -> None:
        """`_now`, `_bands` ← amplitudes of harmonics and densities of noise, scaled to the level of the input."""
        tracker, target, now = self._tracker, self._target, self._now
        if self._sounding == 0.0:
            now.fill(0.0)
            self._bands.fill(0.0)
            return
        x = tracker.features
        for layer in self._layers:
            x = layer(x)
        np.clip(x, -25.0, 10.0, out=x)
        np.exp(x, out=target)
        np.multiply(self._numbers, frequency(tracker.pitch) / self._rate, out=now)
        np.less(now, self._highest, out=self._heard)
        np.multiply(target[:HARMONICS], self._heard, out=now)
        noise = target[HARMONICS:]
        np.multiply(noise, noise, out=noise)
        power = 0.5 * float(np.dot(now, now)) + float(np.dot(noise, self._share))
        scale = self._sounding * 10.0 ** (tracker.level / 20.0) / math.sqrt(power + 1e-20)
        np.multiply(now, scale, out=now)
        np.multiply(noise, scale * scale * self._rate / 2.0, out=noise)
        self._bands[:] = noise

    def _add_noise_frame(self) -> None:
        """Adds a windowed frame of band-shaped noise to `_rest`, whose first hop is complete."""
        hop = self._hop
        self._rest[:hop] = self._rest[hop:]
        self._rest[hop:] = 0.0
        self._random.standard_normal(out=self._noise, dtype=np.float32)
        np.fft.rfft(self._noise, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        np.dot(self._bands, self._spread, out=self._gain)
        np.sqrt(self._gain, out=self._gain)
        np.multiply(self._bins, self._gain, out=self._bins)
        np.fft.irfft(self._bins, 2 * hop, out=self._noise)  # type: ignore[arg-type]
        np.multiply(self._noise, self._window, out=self._noise)
        np.add(self._rest, self._noise, out=self._rest)
