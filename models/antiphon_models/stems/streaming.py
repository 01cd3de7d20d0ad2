"""The node's causal network in torch: hop by hop with many streams for CUDA, or whole sounds in training."""

from functools import cache
from typing import ClassVar

import torch
from torch.nn import functional

from antiphon.api.backends.networks import State, StreamingModel
from antiphon_stems.grids import LIVE, LIVE_MODEL, STEMS
from antiphon_stems.network import (
    BENT,
    DECAYS,
    DETAILS,
    FAR,
    LEVEL_DECAY,
    MASKS,
    NEIGHBOURS,
    QUIET,
    ROWS,
    SIDE_FLOOR,
    SLOPE,
    VOICE,
    WIDTH,
    smoothing_matrix,
)

AROUND = len(DECAYS) + 1


class StreamStems(StreamingModel):
    """Maps power and side `[slots, 2, units]` to shares `[slots, 3, units]`, like `antiphon_stems.network.LiveNetwork`.

    The state: averages of past hops `[slots, AROUND, units]`, whether there were any, the sums of the sound's level,
    and the recurrent layer's state.
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
        super().__init__()
        self.enter = torch.nn.Linear((ROWS + AROUND) * LIVE.bands + LIVE.single, WIDTH)
        self.recall = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.say = torch.nn.Linear(WIDTH, (BENT + len(STEMS)) * LIVE.bands)
        self.tell = torch.nn.Linear(WIDTH, LIVE.single, bias=False)
        self.bend = torch.nn.Linear(DETAILS + AROUND, BENT, bias=False)
        self.last = torch.nn.Linear(BENT, len(STEMS), bias=False)
        fixed = {
            "wide": torch.from_numpy(LIVE.wide),
            "mean": torch.from_numpy(LIVE.mean),
            "near": torch.from_numpy(smoothing_matrix(LIVE.units, NEIGHBOURS[0])),
            "far": torch.from_numpy(smoothing_matrix(LIVE.units, NEIGHBOURS[1])),
            "share": torch.from_numpy(LIVE.width / LIVE.bins),
            "keeps": torch.tensor([*DECAYS, 0.0])[:, None],
            "band_shifts": torch.tensor([[0.0], [0.3], [1.2]] + [[0.0]] * AROUND),
            "unit_shifts": torch.tensor([[0.0]] * 4 + [[1.2]] + [[0.0]] * AROUND),
        }
        for name, array in fixed.items():
            self.register_buffer(name, array, persistent=False)

    def start(self, slots: int) -> State:
        return (
            torch.zeros(slots, AROUND, LIVE.units),
            torch.zeros(slots, 1),
            torch.zeros(slots, 2, dtype=torch.float64),
            torch.zeros(slots, WIDTH),
        )

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        before, begun, sums, recalled = state
        power, side = x.abs().unbind(1)
        log = (power + QUIET).log()
        around = torch.where(begun[:, :, None] > 0.0, before, log[:, None])
        total = sums * LEVEL_DECAY + torch.stack([(power @ self.share).double(), torch.ones_like(sums[:, 1])], 1)
        level = (total[:, 0] / total[:, 1] + QUIET).log().float()[:, None]
        bands, details = self.describe(power, side, level, around)
        shares, recalled = self.answers(bands[:, None], details[:, None], recalled[None])
        after = log[:, None] + self.keeps * (around - log[:, None])
        return shares[:, 0, :MASKS], (after, torch.ones_like(begun), total, recalled[0])

    def whole(self, power: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        """Shares `[sounds, hops, 4, units]` of whole sounds from the start; power, side: `[sounds, hops, units]`."""
        sounds, hops = power.shape[:2]
        log = (power + QUIET).log()
        around = torch.stack([_before(keep, log) for keep in (*DECAYS, 0.0)], 2)
        level = (_levels(hops, power.device) @ (power @ self.share)[:, :, None] + QUIET).log()
        flat = (x.flatten(0, 1) for x in (power, side, level, around))
        bands, details = self.describe(*flat)
        return self.answers(bands.unflatten(0, (sounds, hops)), details.unflatten(0, (sounds, hops)), None)[0]

    def answers(
        self, bands: torch.Tensor, details: torch.Tensor, recalled: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares `[sounds, hops, 4, units]` of features, and the recurrent state after them."""
        x = functional.silu(self.enter(torch.cat([bands.flatten(2), details[:, :, FAR, : LIVE.single]], 2)))
        y, recalled = self.recall(x, recalled)
        x = x + y
        context = self.say(x).unflatten(2, (BENT + len(STEMS), LIVE.bands)) @ self.wide
        seen = self.bend.weight @ details + context[:, :, :BENT]
        logits = self.last.weight @ functional.leaky_relu(seen, SLOPE) + context[:, :, BENT:]
        voice = functional.pad(self.tell(x), (0, LIVE.units - LIVE.single))[:, :, None]
        logits = logits + functional.pad(voice, (0, 0, VOICE, len(STEMS) - 1 - VOICE))
        return torch.softmax(logits, 2), recalled

    def describe(
        self, power: torch.Tensor, side: torch.Tensor, level: torch.Tensor, around: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features `[N, rows, bands]` and `[N, rows, units]`, as of `antiphon_stems.network.describe`."""
        log = (power + QUIET).log()
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


@cache
def _causal_average_weights(keep: float, hops: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of past hops in each hop's causal average, `[hops, hops]`, and of the initial value, `[hops]`."""
    at = torch.arange(hops, dtype=torch.float64)
    apart = at[:, None] - 1.0 - at
    weights = torch.where(apart >= 0.0, (1.0 - keep) * keep ** apart.clamp(min=0.0), 0.0)
    return weights.float().to(device), (keep**at).float().to(device)


def _before(keep: float, log: torch.Tensor) -> torch.Tensor:
    """Causal average before each hop of `[sounds, hops, units]`; at the beginning the first hop itself."""
    weights, first = _causal_average_weights(keep, log.shape[1], log.device)
    return weights @ log + first[:, None] * log[:, :1]


@cache
def _levels(hops: int, device: torch.device) -> torch.Tensor:
    """Weights of the hops up to each hop in the level of the sound, `[hops, hops]`."""
    at = torch.arange(hops, dtype=torch.float64)
    apart = at[:, None] - at
    weights = torch.where(apart >= 0.0, LEVEL_DECAY ** apart.clamp(min=0.0), 0.0)
    return (weights / weights.sum(1, keepdim=True)).float().to(device)
