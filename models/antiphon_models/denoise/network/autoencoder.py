"""The network of `mode=autoencoder`: a variational autoencoder of band spectra (Kingma and Welling, 2013).

A recurrent encoder maps the noisy bands to a normal distribution of few numbers; the recurrent decoder maps its mean
(in training: a sample) to the bands of the clean sound. The gain of a band is the decoded over the input amplitude.
"""

from typing import ClassVar

import torch
from torch.nn import functional

from antiphon.api.backends.networks import State
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned.mask_network import HIDDEN, LATENT, MIN_LOG_POWER, OUTPUT_SCALE
from antiphon_denoise.learned.tables import AUTOENCODER, FEATURES
from antiphon_models.denoise.network.features import Features, Past, turned
from antiphon_models.denoise.network.mask import GainNetwork


class Autoencoder(GainNetwork):
    """Encodes and decodes bands of a spectrum; gains are their ratio."""

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
        one = turned(self.encode, functional.silu(self.enter(now.bands)), state[3])
        two = turned(self.decode, functional.silu(self.open(self.mean(one))), state[4])
        return self.gains(now.levels, OUTPUT_SCALE * self.leave(two))[:, None], (*past, one, two)

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Many hops from the start: log, noise `[N, T, UNITS]` → gains `[N, T, UNITS]`."""
        heard = self.follow.whole(log, noise)
        return self.gains(heard.levels, self.decoded(self.encoded(heard)[0]))

    def encoded(self, heard: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the latent numbers `[N, T, LATENT]`."""
        x = self.encode(functional.silu(self.enter(heard.bands.flatten(2))))[0]
        return self.mean(x), self.spread(x).clamp(-8.0, 4.0)

    def decoded(self, latent: torch.Tensor) -> torch.Tensor:
        """Log powers of the clean bands `[N, T, COUNT]`, relative to the long-term mean of the input."""
        return OUTPUT_SCALE * torch.as_tensor(self.leave(self.decode(functional.silu(self.open(latent)))[0]))

    def gains(self, levels: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Amplitude gains, at most 1: decoded over input bands `[…, COUNT]`, interpolated to the units."""
        ratio = (decoded - levels).clamp(MIN_LOG_POWER, 0.0)
        return torch.exp(0.5 * (ratio @ self.follow.wide))
