"""The networks: the decoder that plays, and beside it the encoder of the VAE or the critic of the GAN."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon_latent.decoder import AXES, CONDITIONS
from antiphon_latent.partials import FRAMES, ROW

HIDDEN = (128, 64)
SIZE = FRAMES * ROW
SPAN, MIDDLE = 20.0, -40.0
"""dB of 1, and of 0, inside a network."""


class LatentDecoder(nn.Module):
    """Places and conditions `[n, AXES + CONDITIONS]` to levels `[n, FRAMES * ROW]`, 1 for `SPAN` dB."""

    def __init__(self) -> None:
        super().__init__()
        widths = [AXES + CONDITIONS, *HIDDEN]
        self.layers: Any = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.last = nn.Linear(widths[-1], SIZE)

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            told = torch.tanh(layer(told))
        level: torch.Tensor = self.last(told)
        return level

    def arrays(self, middle: NDArray[Any], spread: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Arrays for `antiphon_latent.decoder`, from the mean and covariance of the places of notes."""
        found: dict[str, NDArray[Any]] = {"axes": np.linalg.cholesky(spread).T}
        for n, layer in enumerate(self.layers):
            found[f"w{n}"], found[f"b{n}"] = (p.detach().cpu().double().numpy() for p in (layer.weight, layer.bias))
        found["b0"] = found["b0"] + found["w0"][:, :AXES] @ middle
        found["rows"] = SPAN * self.last.weight.detach().cpu().double().numpy().reshape(FRAMES, ROW, -1)
        found["base"] = SPAN * self.last.bias.detach().cpu().double().numpy().reshape(FRAMES, ROW) + MIDDLE
        return found


class NoteVAE(nn.Module):
    """A variational autoencoder (Kingma and Welling 2014), both halves told pitch and velocity."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = LatentDecoder()
        self.encoder = nn.Sequential(nn.Linear(SIZE + CONDITIONS, 192), nn.SiLU(), nn.Linear(192, 2 * AXES))

    def forward(self, level: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance of the places of notes."""
        mean, log_variance = self.encoder(torch.cat([level, told], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8.0, 4.0)


class NoteGAN(nn.Module):
    """A generator and a critic (Goodfellow 2014), both told pitch and velocity; the critic sees levels and changes."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = LatentDecoder()
        self.first = nn.Conv1d(ROW, 96, 5, stride=2, padding=2)
        self.second = nn.Conv1d(96, 64, 5, stride=4, padding=2)
        self.third = nn.Linear(64 * FRAMES // 8 + CONDITIONS, 96)
        self.fourth = nn.Linear(96, 1)
        self.place = nn.Linear(96, AXES)

    def judge(self, level: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How real notes seem, `[n]`, and the places that they are guessed to come from, `[n, AXES]`."""
        x = functional.leaky_relu(self.first(level.view(-1, FRAMES, ROW).transpose(1, 2)), 0.2)
        x = functional.leaky_relu(self.second(x), 0.2).flatten(1)
        x = functional.leaky_relu(self.third(torch.cat([x, told], dim=1)), 0.2)
        return self.fourth(x)[:, 0], self.place(x)
