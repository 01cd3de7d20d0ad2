"""Mixtures of the material, on the training device: chosen, resampled, coloured, reverberated and summed.

All arrays are float32 `[items, samples]` at 48 kHz. The random generators are seeded by (seed, step): choices come from
numpy's, noise from torch's.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_models.denoise.training.plan import NOISES, Component, MixturePlan
from antiphon_models.denoise.training.sounds import RATE

_CHUNK = 24


@dataclass(frozen=True, slots=True)
class Mixtures:
    """mixed, clean, noise `[N, L]`; gap `[N, L]`: 1 in pauses of the clean sound; items: their plans."""

    mixed: torch.Tensor
    clean: torch.Tensor
    noise: torch.Tensor
    gap: torch.Tensor
    items: list[MixturePlan]


class Mixer:
    """Holds every sound of one part on the device, concatenated, and makes mixtures of `length` samples."""

    def __init__(self, kinds: dict[str, list[NDArray[np.float32]]], length: int, device: torch.device) -> None:
        self.length, self.device = length, device
        self.starts: dict[str, list[tuple[int, int]]] = {}
        parts, at = [], 0
        for kind, sounds in kinds.items():
            places = self.starts.setdefault(kind, [])
            for sound in sounds:
                level = float(np.sqrt(np.mean(sound**2))) + 1e-4
                parts.append((sound / level * 0.05).astype(np.float16))
                places.append((at, len(sound)))
                at += len(sound)
        self._pool = torch.from_numpy(np.concatenate(parts)).to(device)
        self._fft = 1 << math.ceil(math.log2(length))
        if self._fft - length < RATE // 5:
            self._fft = length + RATE // 2

    def mix(self, items: list[MixturePlan], seed: int) -> Mixtures:
        """Makes the mixtures of the chosen items."""
        generator = torch.Generator(device=self.device)
        generator.manual_seed(seed)
        clean = self._sum([item.clean for item in items])
        clean = self._shaped(clean, [item.colour for item in items], [item.room for item in items], generator)
        clean = _level(clean)
        drive = self._row([item.drive for item in items])
        clean = torch.where(drive > 0, _level(torch.tanh(clean * drive.clamp(min=0.1))), clean)
        shape = self._envelope([item.gaps for item in items])
        clean = _level(clean * shape * self._tremolo([item.tremolo for item in items]))
        noise = self._noise(items, generator)
        snr = self._row([item.snr for item in items])
        loud = self._row([item.level for item in items])
        noise = noise * 10 ** (-snr / 20)
        clean, noise = clean * loud, noise * loud
        silent = self._row([float(item.silent) for item in items])
        clean = clean * (1 - silent)
        gap = torch.maximum((shape < 1e-4).float(), silent.expand_as(shape))
        return Mixtures(clean + noise, clean, noise, gap, items)

    def _row(self, values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32).to(self.device)[:, None]

    def _sum(self, lists: list[list[Component]]) -> torch.Tensor:
        """Sums the components of each row."""
        rows = [row for row, components in enumerate(lists) for _ in components]
        flat = [component for components in lists for component in components]
        out = torch.zeros(len(lists), self.length, device=self.device)
        t = torch.arange(self.length, device=self.device, dtype=torch.float32)
        for first in range(0, len(flat), _CHUNK):
            some = flat[first : first + _CHUNK]
            start = torch.tensor([c.start for c in some], device=self.device)[:, None]
            size = torch.tensor([c.size for c in some], device=self.device)[:, None]
            period = self._row([c.period for c in some])
            speed = self._row([c.speed for c in some])
            place = torch.remainder(self._row([c.phase for c in some]) + speed * t, period)
            index = place.floor()
            way = place - index
            index = index.long()
            before, here, after, beyond = (self._at(start, size, index + n) for n in (-1, 0, 1, 2))
            bend = 0.5 * (after - before)
            curve = before - 2.5 * here + 2 * after - 0.5 * beyond
            rest = 0.5 * (beyond - before) + 1.5 * (here - after)
            sound = here + way * (bend + way * (curve + way * rest))
            out.index_add_(
                0,
                torch.tensor(rows[first : first + _CHUNK], device=self.device),
                _level(sound) * self._row([c.gain for c in some]),
            )
        return out

    def _at(self, start: torch.Tensor, size: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        inside = (index >= 0) & (index < size)
        return torch.where(inside, self._pool[start + index.clamp(min=0).minimum(size - 1)].float(), 0.0)

    def _shaped(
        self,
        sound: torch.Tensor,
        colours: list[NDArray[np.float32]],
        rooms: list[tuple[float, float]],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Applies curves in dB, and reverberation (decay in seconds, level of the tail; 0 for none)."""
        response = self._curve(np.stack(colours))
        if any(level > 0 for _, level in rooms):
            count = min(self._fft - self.length, RATE // 2)
            t = torch.arange(count, device=self.device) / RATE
            decay = self._row([max(seconds, 0.05) for seconds, _ in rooms])
            tail = torch.randn(len(rooms), count, generator=generator, device=self.device) * torch.exp(-6.9 * t / decay)
            tail = tail / (tail.square().sum(1, keepdim=True).sqrt() + 1e-9) * self._row([level for _, level in rooms])
            tail[:, : RATE // 500] = 0.0
            tail[:, 0] = 1.0
            response = response * torch.fft.rfft(tail, self._fft)
        whole: torch.Tensor = torch.fft.irfft(torch.fft.rfft(sound, self._fft) * response, self._fft)
        return whole[:, : self.length]

    def _curve(self, decibels: NDArray[np.float32]) -> torch.Tensor:
        """Converts curves at points even in log frequency, 40 Hz to 20 kHz, to factors of the long transform's bins."""
        bins = self._fft // 2 + 1
        hertz = torch.arange(bins, device=self.device) * (RATE / self._fft)
        points = decibels.shape[1]
        place = (torch.log(hertz.clamp(min=40.0) / 40.0) / math.log(500.0)).clamp(max=0.9999) * (points - 1)
        below = place.long()
        given = torch.from_numpy(decibels).to(self.device)
        way = place - below
        curve: torch.Tensor = given[:, below] * (1 - way) + given[:, (below + 1).clamp(max=points - 1)] * way
        return 10 ** (curve / 20)

    def _envelope(self, gaps: list[list[tuple[int, int]]]) -> torch.Tensor:
        """Envelope of 1, with 0 in the gaps (first and last sample) and ramps of 5 ms."""
        shape = np.ones((len(gaps), self.length), np.float32)
        ramp = np.linspace(0, 1, RATE // 200, dtype=np.float32)
        for row, some in zip(shape, gaps, strict=True):
            for first, last in some:
                row[first:last] = 0.0
                before = row[max(0, first - len(ramp)) : first]
                before *= ramp[::-1][len(ramp) - len(before) :]
                after = row[last : last + len(ramp)]
                after *= ramp[: len(after)]
        return torch.from_numpy(shape).to(self.device)

    def _tremolo(self, given: list[tuple[float, float]]) -> torch.Tensor:
        t = torch.arange(self.length, device=self.device) / RATE
        rate, depth = self._row([rate for rate, _ in given]), self._row([depth for _, depth in given])
        return 1.0 - depth * (0.5 - 0.5 * torch.cos(2 * math.pi * rate * t))

    def _noise(self, items: list[MixturePlan], generator: torch.Generator) -> torch.Tensor:
        """Noise of power 1: clips, babble and synthetic noise."""
        noise = _level(self._sum([item.noise for item in items]))
        made = [row for row, item in enumerate(items) if item.made]
        if made:
            noise[made] = noise[made] + _level(
                self._synthetic_noise([items[row] for row in made], generator)
            ) * self._row([items[row].made_gain for row in made])
        response = self._curve(np.stack([item.noise_colour for item in items]))
        noise = torch.fft.irfft(torch.fft.rfft(noise, self._fft) * response, self._fft)[:, : self.length]
        return _level(noise)

    def _synthetic_noise(self, items: list[MixturePlan], generator: torch.Generator) -> torch.Tensor:
        count = len(items)
        hiss = torch.randn(count, self._fft, generator=generator, device=self.device)
        sparse = torch.rand(count, self._fft, generator=generator, device=self.device)
        often = self._row([item.impulses for item in items])
        # clicks: chance decides where, the band they are heard in what they sound like
        hiss = torch.where(often > 0, hiss * (sparse < often / RATE), hiss)
        hertz = (torch.arange(self._fft // 2 + 1, device=self.device) * (RATE / self._fft)).clamp(min=15.0)
        slope, low, high = (self._row([item.band[n] for item in items]) for n in range(3))
        response = (hertz / 1000.0) ** (-slope) / (1 + (hertz / high) ** 4) / (1 + (low / hertz) ** 4)
        sound = _level(torch.fft.irfft(torch.fft.rfft(hiss) * response, self._fft)[:, : self.length])
        t = torch.arange(self.length, device=self.device) / RATE
        slow = torch.randn(count, 64, generator=generator, device=self.device)
        swing = torch.nn.functional.interpolate(slow[:, None], self.length, mode="linear", align_corners=True)[:, 0]
        rate, depth = self._row([i.beat[0] for i in items]), self._row([i.beat[1] for i in items])
        sound = sound * (1 + depth * torch.sin(2 * math.pi * rate * t + swing)).clamp(min=0.0)
        hums = [row for row, item in enumerate(items) if item.hum > 0]
        if hums:
            phase = (
                2
                * math.pi
                * self._row([items[row].hum for row in hums]).double()
                * torch.arange(self.length, device=self.device, dtype=torch.float64)
                / RATE
            )
            total = torch.zeros(len(hums), self.length, device=self.device)
            for h in range(NOISES.harmonics):
                amplitude = self._row([float(items[row].partials[h, 0]) for row in hums])
                turn = self._row([float(items[row].partials[h, 1]) for row in hums])
                total += amplitude * torch.sin(torch.remainder(phase * (h + 1), 2 * math.pi).float() + turn)
            sound[hums] = sound[hums] * self._row([items[row].hum_hiss for row in hums]) + _level(total)
        return sound


def _level(sound: torch.Tensor) -> torch.Tensor:
    """Normalises to power 1; silence stays silent."""
    return sound / (sound.square().mean(1, keepdim=True).sqrt() + 1e-5)
