"""Input features of both networks: band levels, history and noise floor, for one hop or many at once.

All levels are natural logarithms of power. `Features` has no trained weights.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_denoise import learned
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import BLOCK, DETAILS, LEVEL, LONG, NO_FLOOR, NO_NOISE, PAST, QUIET, SHORT, UNITS


class Features(NamedTuple):
    """bands `[…, COUNT, FEATURES]`, details `[…, DETAILS, UNITS]`, levels `[…, COUNT]` relative to the long mean.

    Of one hop, from `step`, the bands are `[slots, COUNT * FEATURES]`.
    """

    bands: torch.Tensor
    details: torch.Tensor
    levels: torch.Tensor


class Past(NamedTuple):
    """The state of `step`: smooth `[slots, 2, UNITS]`, floors `[slots, PAST, UNITS]`, mean `[slots, 3]`."""

    smooth: torch.Tensor
    floors: torch.Tensor
    mean: torch.Tensor


class FeatureExtractor(torch.nn.Module):
    """Computes `Features` from log powers."""

    mean: torch.Tensor
    wide: torch.Tensor
    sums: torch.Tensor
    keeps: torch.Tensor
    lows: torch.Tensor
    highs: torch.Tensor
    scales: torch.Tensor
    shifts: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean", "wide", "sums"):
            self._keep(name, getattr(learned, name)())
        self._keep("keeps", np.array([[SHORT], [LONG]]))
        for name, rows in learned.ROWS.items():
            self._keep(name, np.array(rows)[:, None])

    def _keep(self, name: str, values: NDArray[Any]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def start(self, slots: int) -> Past:
        return Past(torch.zeros(slots, 2, UNITS), torch.full((slots, PAST, UNITS), NO_FLOOR), torch.zeros(slots, 3))

    def step(self, x: torch.Tensor, past: Past) -> tuple[Features, Past]:
        """Features of one hop, equal to `whole`'s. x: log powers of input and learned noise `[slots, 2, UNITS]`."""
        log, noise = x[:, :1], x[:, 1:]
        mean, weight, hops = past.mean[:, :1], past.mean[:, 1:2], past.mean[:, 2:]
        smooth = torch.lerp(log, past.smooth, self.keeps * (hops > 0.0)[..., None])
        turned = past.floors.roll(1, 1)
        turned[:, 0] = NO_FLOOR
        floors = torch.where((hops % BLOCK == 0.0)[..., None], turned, past.floors)
        torch.minimum(floors[:, 0], smooth[:, 0], out=floors[:, 0])
        floor = floors.amin(1, keepdim=True)
        seen = torch.cat([x.exp(), log, smooth, floor], 1) @ self.sums
        frame, seen = seen[:, 0, COUNT:], seen[..., :COUNT]
        weight = torch.add(weight * LEVEL, 1.0)
        mean = mean + (frame - mean) / weight
        # counted no further than two blocks: a float32 does not count days of hops
        next_hop = hops + 1.0
        next_hop = next_hop - BLOCK * (next_hop >= 2.0 * BLOCK)
        after = Past(smooth, floors, torch.cat([mean, weight, next_hop], 1))

        known = (noise[..., :1] > NO_NOISE / 2).to(x.dtype)
        mean_log, frame_log = torch.log(mean + 1e-9), torch.log(frame + QUIET)
        levels = torch.log(seen[:, :2] + QUIET)
        level = levels[:, :1]
        relative = level - mean_log[..., None]
        noise_levels = (levels[:, 1:] - level) * known
        whole = torch.stack([known[..., 0], frame_log - mean_log, mean_log], 1).expand(-1, -1, COUNT)
        bands = torch.cat([relative, seen[:, 2:] - level, noise_levels, whole], 1)
        bands = torch.addcmul(self.shifts, torch.clamp(bands, self.lows, self.highs), self.scales)

        here = level @ self.wide
        first, last = log[..., :1], log[..., -1:]
        wide = torch.cat([first, first, log, last, last], 2)
        details = torch.cat(
            [log, wide[..., 1:-3], wide[..., 3:-1], wide[..., :-4], wide[..., 4:], smooth, floor, noise], 1
        )
        details.sub_(here).clamp_(-9.0, 6.0).mul_(1.0 / 3.0)
        details[:, DETAILS - 1 :].mul_(known)
        return Features(bands.transpose(1, 2).flatten(1), details, relative[:, 0]), after

    @torch.no_grad()
    def whole(self, log: torch.Tensor, noise: torch.Tensor) -> Features:
        """Features of many hops from the start, equal to those of `step`. log, noise: `[N, T, UNITS]`."""
        frame = self._frame(log.exp())
        return self._heard(log, frame, follow_levels(log), running(frame, LEVEL), noise)

    @staticmethod
    def _frame(power: torch.Tensor) -> torch.Tensor:
        single = power[..., :512].sum(-1) + 4.0 * power[..., 512:].sum(-1)
        return single / 1024.0

    def _heard(
        self,
        log: torch.Tensor,
        frame: torch.Tensor,
        levels: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        mean: torch.Tensor,
        noise: torch.Tensor,
    ) -> Features:
        short, long, floor = levels
        level = torch.log(log.exp() @ self.mean + QUIET)
        known = (noise[..., :1] > NO_NOISE / 2).to(log.dtype)
        noise = torch.where(known > 0.0, noise, log)
        mean_log = torch.log(mean + 1e-9)[..., None]
        relative = level - mean_log
        noise_levels = (torch.log(noise.exp() @ self.mean + QUIET) - level).clamp(-6.0, 3.0) * known
        around = torch.stack([log @ self.mean, short @ self.mean, long @ self.mean, floor @ self.mean], -1)
        around = (around - level[..., None]).clamp(-8.0, 4.0)
        frame_rel = (torch.log(frame + QUIET)[..., None] - mean_log).clamp(-8.0, 4.0)
        bands = torch.cat(
            [
                (relative / 3.0).clamp(-6.0, 3.0)[..., None],
                around / 2.0 + 0.3,
                noise_levels[..., None] / 2.0,
                torch.stack([known, frame_rel / 2.0, (mean_log + 8.0) / 5.0], -1).expand(*level.shape, 3),
            ],
            -1,
        )
        here = level @ self.wide
        next_to = torch.nn.functional.pad(log, (2, 2), mode="replicate")
        parts = [log, next_to[..., 1:-3], next_to[..., 3:-1], next_to[..., :-4], next_to[..., 4:], short, long, floor]
        details = [(part - here).clamp(-9.0, 6.0) / 3.0 for part in parts]
        details.append((noise - here).clamp(-9.0, 6.0) / 3.0 * known)
        return Features(bands, torch.stack(details, -2), relative)


def follow_levels(log: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Smooths log powers `[N, T, UNITS]` at two rates; also returns the minimum of the first over past blocks."""
    short, long, floor = (torch.empty_like(log) for _ in range(3))
    floors = torch.full((PAST, *log[:, 0].shape), NO_FLOOR, device=log.device)
    for hop, now in enumerate(log.unbind(1)):
        before = max(0, hop - 1)
        torch.lerp(now, short[:, before] if hop else now, SHORT, out=short[:, hop])
        torch.lerp(now, long[:, before] if hop else now, LONG, out=long[:, hop])
        block = hop // BLOCK % PAST
        if hop % BLOCK == 0:
            floors[block] = NO_FLOOR
        torch.minimum(floors[block], short[:, hop], out=floors[block])
        floor[:, hop] = floors.amin(0)
    return short, long, floor


def smooth_one_pole(x: torch.Tensor, keep: float) -> torch.Tensor:
    """One-pole smoothing of `[N, T, …]` over hops, `keep` the coefficient, from the first hop's value."""
    weights = _fading(x.shape[1], keep, x)
    weights[:, 1:] *= 1 - keep
    return weights @ x


def running(x: torch.Tensor, keep: float) -> torch.Tensor:
    """Exponentially weighted running mean of `[N, T]` with factor `keep`."""
    weights = _fading(x.shape[1], keep, x)
    return x @ (weights / weights.sum(1, keepdim=True)).T


def _fading(count: int, keep: float, like: torch.Tensor) -> torch.Tensor:
    """Decay matrix `[count, count]`: the weight at each hop (row) of each earlier hop (column)."""
    t = torch.arange(count, device=like.device, dtype=torch.float32)
    return torch.where(t[:, None] >= t, keep ** (t[:, None] - t).clamp(min=0.0), torch.zeros(()).to(t))


def step_gru(layer: torch.nn.GRU, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """One step of a unidirectional GRU layer: x, state `[slots, width]` → next state, which is its output."""
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    return torch.gru_cell(x, state, *weights)  # type: ignore[arg-type]  # parameters, which torch declares loosely
