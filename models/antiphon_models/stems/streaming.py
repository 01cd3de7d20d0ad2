"""Causal network of the node in torch, hop by hop with many streams, for CUDA."""

from __future__ import annotations

from typing import ClassVar

import torch

from antiphon.api.backends.networks import State, StreamingModel
from antiphon_models.stems.network import StemNetwork
from antiphon_stems.grids import LIVE, LIVE_MODEL, STEMS
from antiphon_stems.network import DECAYS, LEVEL_DECAY, MASKS, NEIGHBOURS, QUIET, SIDE_FLOOR, smoother

AROUND = len(DECAYS) + 1


class StreamStems(StemNetwork, StreamingModel):
    """Power and side `[slots, 2, units]` to shares `[slots, 3, units]`, as `antiphon_stems.network.LiveNetwork`.

    The state: averages of what came before `[slots, AROUND, units]`, whether there was anything, and the sums of the
    sound's level.
    """

    name: ClassVar[str] = LIVE_MODEL.name
    hop: ClassVar[int] = LIVE.units
    answer: ClassVar[int | None] = LIVE.units
    frames: ClassVar[int | None] = LIVE.hop
    inputs: ClassVar[int] = 2
    outputs: ClassVar[int] = MASKS
    mean: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor
    share: torch.Tensor
    keeps: torch.Tensor
    band_shifts: torch.Tensor
    unit_shifts: torch.Tensor
    wide: torch.Tensor

    def __init__(self) -> None:
        super().__init__(LIVE, AROUND)
        fixed = {
            "mean": torch.from_numpy(LIVE.mean),
            "near": torch.from_numpy(smoother(LIVE.units, NEIGHBOURS[0])),
            "far": torch.from_numpy(smoother(LIVE.units, NEIGHBOURS[1])),
            "share": torch.from_numpy(LIVE.width / LIVE.bins),
            "keeps": torch.tensor([*DECAYS, 0.0])[:, None],
            "band_shifts": torch.tensor([[0.0], [0.3], [1.2]] + [[0.0]] * AROUND),
            "unit_shifts": torch.tensor([[0.0]] * 4 + [[1.2]] + [[0.0]] * AROUND),
        }
        for name, array in fixed.items():
            self.register_buffer(name, array, persistent=False)

    def start(self, slots: int) -> State:
        return torch.zeros(slots, AROUND, LIVE.units), torch.zeros(slots, 1), torch.zeros(slots, 2, dtype=torch.float64)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        before, begun, sums = state
        power, side = x.abs().unbind(1)
        log = (power + QUIET).log()
        around = torch.where(begun[:, :, None] > 0.0, before, log[:, None])
        total = sums * LEVEL_DECAY + torch.stack([(power @ self.share).double(), torch.ones_like(sums[:, 1])], 1)
        level = (total[:, 0] / total[:, 1] + QUIET).log().float()[:, None]
        bands, details = self._described(power, side, log, level, around)
        shares = self(bands.flatten(1), details)[:, : len(STEMS) - 1]
        after = log[:, None] + self.keeps * (around - log[:, None])
        return shares, (after, torch.ones_like(begun), total)

    def _described(
        self, power: torch.Tensor, side: torch.Tensor, log: torch.Tensor, level: torch.Tensor, around: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features, as of `antiphon_stems.network.describe`."""
        band_power = power @ self.mean + QUIET
        band = band_power.log()
        bands = torch.stack(
            [band - level, log @ self.mean - band, (side @ self.mean / band_power + SIDE_FLOOR).log()], 1
        )
        bands = torch.cat([bands, band[:, None] - around @ self.mean], 1)
        wide = (side / (power + QUIET) + SIDE_FLOOR).log()
        details = torch.stack(
            [log - level, log - band @ self.wide, log - log @ self.near, log - log @ self.far, wide], 1
        )
        details = torch.cat([details, log[:, None] - around], 1)
        bands, details = 0.5 * bands + self.band_shifts, 0.5 * details + self.unit_shifts
        return bands.clamp(-4.0, 3.0), details.clamp(-4.0, 3.0)
