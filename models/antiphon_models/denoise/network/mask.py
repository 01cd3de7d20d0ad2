"""The mask networks of `mode=learned`, live and, with look-ahead, for files: recurrent band layers set each bin's gate.

Two recurrent layers take all bands and give, for every band, the weights by which a bin's details (level relative to
the band, neighbours, past, floor) open its gate. A small network, the same for all bins, reshapes the result, so that
the partials of a tone remain while the noise between them is removed.

Recurrent masks on few bands: Valin, A hybrid DSP/deep learning approach to real-time full-band speech enhancement
(RNNoise), 2018. This network controls a rule for bins instead of giving a gain per band.

The file network has the live mask's inputs, the same inputs of the reversed file, and the lowest level of each unit in
the surrounding seconds. Its training starts from the mean of the shipped mask's forward and backward output (`begin`).
`antiphon_denoise.learned.file_mask` is its numpy version.

The network of `mode=autoencoder` is a variational autoencoder of band spectra (Kingma and Welling, 2013). A recurrent
encoder maps the noisy bands to a normal distribution of a few latent numbers; the recurrent decoder maps its mean (in
training: a sample) to the bands of the clean sound. The gain of a band is the decoded over the input amplitude.
"""

from typing import ClassVar

import torch
from torch.nn import functional

from antiphon.api.backends.networks import State, StreamingModel
from antiphon_denoise.bands import COUNT, HOP
from antiphon_denoise.learned import (
    AUTOENCODER,
    BLOCK,
    DETAILS,
    FEATURES,
    HIGHEST_DETAIL,
    LOWEST_DETAIL,
    MASK,
    NO_FLOOR,
    UNITS,
)
from antiphon_denoise.learned.file_mask import FILE_DETAILS, FILE_FEATURES, FLOOR_BLOCKS
from antiphon_denoise.learned.mask_network import (
    GATE_BIAS,
    HIDDEN,
    LAST,
    LATENT,
    LEAKY_SLOPE,
    MIN_LOG_POWER,
    OUTPUT_SCALE,
    TELLS,
    WIDTH,
)
from antiphon_models.denoise.network.features import FeatureExtractor, Features, Past, follow_levels, step_gru


class GainNetwork(StreamingModel):
    """Maps log powers `[slots, 2, UNITS]` of input and learned noise to gains `[slots, 1, UNITS]`, 0 to 1.

    `follow`: computes the features of a hop; its state is the network's first state.
    """

    hop: ClassVar[int] = UNITS
    answer: ClassVar[int | None] = UNITS
    frames: ClassVar[int | None] = HOP
    inputs: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.follow = FeatureExtractor()


INITIAL_LOGIT = 1.5
"""Initial logit of the gate."""


class MaskNetwork(GainNetwork):
    """Computes gains with a gate per bin; recurrent layers per band control the gates."""

    name: ClassVar[str] = MASK.name

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(COUNT * FEATURES, WIDTH)
        self.first = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.second = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.say = torch.nn.Linear(2 * WIDTH, COUNT * (DETAILS + 1 + TELLS))
        self.bend = torch.nn.Linear(DETAILS + 1 + TELLS, LAST)
        self.last = torch.nn.Linear(LAST, 1)
        with torch.no_grad():
            self.say.weight.mul_(0.3)
            self.say.bias.view(COUNT, -1)[:, DETAILS] = INITIAL_LOGIT

    def start(self, slots: int) -> State:
        return *self.follow.start(slots), torch.zeros(slots, WIDTH), torch.zeros(slots, WIDTH)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        now, past = self.follow.step(x, Past(*state[:3]))
        low = step_gru(self.first, functional.silu(self.enter(now.bands)), state[3])
        high = step_gru(self.second, low, state[4])
        said = self.say(torch.cat([low, high], 1)).view(len(x), COUNT, -1)
        rule = said.transpose(1, 2) @ self.follow.wide
        push = (now.details * rule[:, :DETAILS]).sum(1, keepdim=True) + rule[:, DETAILS : DETAILS + 1]
        seen = torch.cat([now.details, rule[:, DETAILS + 1 :], push], 1)
        bend, last = (part.weight.expand(len(x), -1, -1) for part in (self.bend, self.last))
        bent = functional.leaky_relu(torch.baddbmm(self.bend.bias[:, None], bend, seen), LEAKY_SLOPE)
        gain = torch.sigmoid(torch.baddbmm(push, last, bent) + (self.last.bias + GATE_BIAS))
        return gain, (*past, low, high)

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Gains `[N, T, UNITS]` of many hops from the start; log, noise: `[N, T, UNITS]`."""
        heard = self.follow.whole(log, noise)
        n, t = heard.levels.shape[:2]
        x = functional.silu(self.enter(heard.bands.flatten(2)))
        low = self.first(x)[0]
        high = self.second(low)[0]
        said = self.say(torch.cat([low, high], -1)).reshape(n, t, COUNT, -1)
        push = self._push(heard.details, said)
        # a loss is of what is learned, a validation of what is played
        return torch.sigmoid(push if self.training else push + GATE_BIAS)

    def _push(self, details: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Logits of the gates `[N, T, UNITS]`, from the output per band `[N, T, COUNT, …]`."""
        count, wide = details.shape[2], self.follow.wide
        said = said.transpose(2, 3)
        push = (details * (said[:, :, :count] @ wide)).sum(2) + said[:, :, count] @ wide
        # of the bend's inputs the details, what is said and the push: summed, without a copy of all side by side
        of_details, of_said, of_push = self.bend.weight.split((count, TELLS, 1), 1)
        bent = (of_said @ said[:, :, count + 1 :] + self.bend.bias[:, None]) @ wide
        bent = functional.leaky_relu(of_details @ details + bent + of_push * push[:, :, None], LEAKY_SLOPE)
        return push + (self.last.weight @ bent)[:, :, 0] + self.last.bias


BACKWARD_DETAILS = range(5, 8)
"""Details also computed backwards: both smoothed levels and the floor."""


class FileMaskNetwork(MaskNetwork):
    """Non-causal network of a whole file: log powers and noise `[N, T, UNITS]` → gains `[N, T, UNITS]`."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(COUNT * FILE_FEATURES, 2 * WIDTH)
        self.first = torch.nn.GRU(2 * WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.second = torch.nn.GRU(2 * WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.say = torch.nn.Linear(4 * WIDTH, COUNT * (FILE_DETAILS + 1 + TELLS))
        self.bend = torch.nn.Linear(FILE_DETAILS + 1 + TELLS, LAST)

    @torch.no_grad()
    def begin(self, mask: MaskNetwork, future: float = 0.5) -> None:
        """Initialises from a mask's weights: forward layers from the mask, backward ones scaled by `future`."""
        enter = mask.enter.weight.view(WIDTH, COUNT, FEATURES)
        own = self.enter.weight.zero_().view(2 * WIDTH, COUNT, FILE_FEATURES)
        own[:WIDTH, :, :FEATURES], own[WIDTH:, :, FEATURES : 2 * FEATURES] = enter, enter
        self.enter.bias.copy_(mask.enter.bias.repeat(2))
        for layer, theirs in ((self.first, mask.first), (self.second, mask.second)):
            for way, columns in (("", slice(0, WIDTH)), ("_reverse", slice(WIDTH, None))):
                for name, value in theirs.named_parameters():
                    held = getattr(layer, name + way)
                    if name == "weight_ih_l0":
                        held.zero_()
                        held[:, columns] = value
                    else:
                        held.copy_(value)
        told = DETAILS + 1 + TELLS
        say, bias = mask.say.weight.view(COUNT, told, 2, WIDTH), mask.say.bias.view(COUNT, told)
        own, of_bend = self.say.weight.zero_().view(COUNT, -1, 4, WIDTH), self.bend.weight.zero_()
        of_bias = self.say.bias.zero_().view(COUNT, -1)
        for share, behind, rows in ((1.0 - future, 0, _rows(False)), (future, 1, _rows(True))):
            for row, at in enumerate(rows):
                own[:, at, behind::2] += share * say[:, row]
                of_bias[:, at] += share * bias[:, row]
                of_bend[:, at] += share * mask.bend.weight[:, row]
        self.bend.bias.copy_(mask.bend.bias)
        self.last.load_state_dict(mask.last.state_dict())

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        bands, details = self._heard(log, noise)
        x = functional.silu(self.enter(bands.flatten(2)))
        low = self.first(x)[0]
        high = self.second(low)[0]
        said = self.say(torch.cat([low, high], -1)).unflatten(-1, (COUNT, -1))
        push = self._push(details, said)
        return torch.sigmoid(push if self.training else push + GATE_BIAS)

    @torch.no_grad()
    def _heard(self, log: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Bands `[N, T, COUNT, FILE_FEATURES]` and details `[N, T, FILE_DETAILS, UNITS]`, forwards and backwards."""
        past, future = self.follow.whole(log, noise), self.follow.whole(log.flip(1), noise.flip(1))
        around = lowest_around(log)
        level = torch.log(log.exp() @ self.follow.mean + 1e-10)
        bands = ((around @ self.follow.mean - level).clamp(-8.0, 4.0) / 2.0 + 0.3)[..., None]
        here = level @ self.follow.wide
        near = ((around - here).clamp(LOWEST_DETAIL, HIGHEST_DETAIL) / 3.0)[:, :, None]
        behind = future.details.flip(1)[:, :, BACKWARD_DETAILS.start : BACKWARD_DETAILS.stop]
        return (
            torch.cat([past.bands, future.bands.flip(1), bands], -1),
            torch.cat([past.details, behind, near], 2),
        )


def lowest_around(log: torch.Tensor) -> torch.Tensor:
    """Noise floor `[N, T, UNITS]`: median of the block minima, over `FLOOR_BLOCKS` blocks in each direction."""
    count = log.shape[1]
    short, _, _ = follow_levels(log)
    rows = -(-count // BLOCK)
    padded = torch.nn.functional.pad(short, (0, 0, 0, rows * BLOCK - count), value=NO_FLOOR)
    lowest = padded.unflatten(1, (rows, BLOCK)).amin(2)
    wide = torch.nn.functional.pad(lowest, (0, 0, FLOOR_BLOCKS, FLOOR_BLOCKS), value=float("nan"))
    median = wide.unfold(1, 2 * FLOOR_BLOCKS + 1, 1).nanmedian(-1).values
    return median.repeat_interleave(BLOCK, 1)[:, :count]


def _rows(behind: bool) -> list[int]:
    """Rows of the live mask's rule within the file's rule; with `behind`, those of the backward copies."""
    own = [
        DETAILS + row - BACKWARD_DETAILS.start if behind and row in BACKWARD_DETAILS else row for row in range(DETAILS)
    ]
    return [*own, *range(FILE_DETAILS, FILE_DETAILS + 1 + TELLS)]


class Autoencoder(GainNetwork):
    """Variational autoencoder of spectrum bands; a gain is the decoded over the input amplitude."""

    name: ClassVar[str] = AUTOENCODER.name

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(COUNT * FEATURES, HIDDEN)
        self.encode = torch.nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.mean = torch.nn.Linear(HIDDEN, LATENT)
        self.spread = torch.nn.Linear(HIDDEN, LATENT)
        self.open = torch.nn.Linear(LATENT, HIDDEN)
        self.decode = torch.nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.leave = torch.nn.Linear(HIDDEN, COUNT)

    def start(self, slots: int) -> State:
        return (*self.follow.start(slots), torch.zeros(slots, HIDDEN), torch.zeros(slots, HIDDEN))

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        now, past = self.follow.step(x, Past(*state[:3]))
        one = step_gru(self.encode, functional.silu(self.enter(now.bands)), state[3])
        two = step_gru(self.decode, functional.silu(self.open(self.mean(one))), state[4])
        return self.gains(now.levels, OUTPUT_SCALE * self.leave(two))[:, None], (*past, one, two)

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Gains `[N, T, UNITS]` of many hops from the start; log, noise: `[N, T, UNITS]`."""
        heard = self.follow.whole(log, noise)
        return self.gains(heard.levels, self.powers_of(self.latent_of(heard)[0]))

    def latent_of(self, heard: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the latent numbers `[N, T, LATENT]`."""
        x = self.encode(functional.silu(self.enter(heard.bands.flatten(2))))[0]
        return self.mean(x), self.spread(x).clamp(-8.0, 4.0)

    def powers_of(self, latent: torch.Tensor) -> torch.Tensor:
        """Log powers of the clean bands `[N, T, COUNT]`, relative to the long-term mean of the input."""
        return OUTPUT_SCALE * torch.as_tensor(self.leave(self.decode(functional.silu(self.open(latent)))[0]))

    def gains(self, levels: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Amplitude gains, at most 1: decoded over input bands `[…, COUNT]`, interpolated to the units."""
        ratio = (decoded - levels).clamp(MIN_LOG_POWER, 0.0)
        return torch.exp(0.5 * (ratio @ self.follow.wide))
