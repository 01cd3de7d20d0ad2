"""`antiphon train tried-gan`: a decoder of `latent` by a generative adversarial network (Goodfellow 2014).

`-p notes=mine/tried-gan.safetensors` plays it. Rows of `antiphon evaluate latent`, seed 1, 32 notes:

                    pitch          Fréchet ↓  recall  jumps ↓       LSD, dB ↓
    pca, shipped    0.969 ± 0.031      22.93   0.719  1.26 ± 0.058   6.94 ± 0.341
    gan              1.00 ± 0.000      52.26   0.031  1.81 ± 0.120  12.89 ± 0.435
    dcgan           0.000 ± 0.000      65.90   0.000             -              -

It covers almost nothing of the notes; a DCGAN on log spectrograms (Radford 2015) had no pitch; both were trained for
minutes. A GAN of bars after MuseGAN (Dong 2018) wrote music that a forest told from songs with an AUC of 1.000 (the bar
model of `answer`: .867). Here its row is how far means and deviations of notes are from those of programs held back:
17.0 dB after 1,426 steps.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon_latent.decoder import AXES, CONDITIONS
from antiphon_latent.partials import FRAMES, ROW
from antiphon_models.latent.pca import with_axes
from antiphon_models.latent.training import MIDDLE, SPAN, LatentDecoder
from antiphon_models.learning.recipe import Batch, Figures, Loss
from antiphon_models.tried.autoencoder import NoteAutoencoderRecipe


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
        """Critic scores of notes, `[n]`, and the estimated latent positions, `[n, AXES]`."""
        x = functional.leaky_relu(self.first(level.view(-1, FRAMES, ROW).transpose(1, 2)), 0.2)
        x = functional.leaky_relu(self.second(x), 0.2).flatten(1)
        x = functional.leaky_relu(self.third(torch.cat([x, told], dim=1)), 0.2)
        return self.fourth(x)[:, 0], self.place(x)


class GANRecipe(NoteAutoencoderRecipe):
    """Recipe of the decoder by a generative adversarial network: hinge loss, R1, and latent regression.

    Generator and critic take their steps together, each from its own part of one loss. Critic: Lim and Ye 2017, with
    the penalty of Mescheder 2018. Guessed places: Chen 2016 (InfoGAN); without them most axes do nothing.
    """

    name = "tried-gan"
    weights = "tried-gan"
    shares = "tried-autoencoder"
    module = NoteGAN
    steps = 8000
    rate = 5e-4

    def loss(self, network: Any, batch: Batch) -> Loss:
        level, there, told = batch
        place = torch.randn(len(told), AXES, device=told.device)
        made = network.decoder(torch.cat([place, told], dim=1)).clamp(min=(-80.0 - MIDDLE) / SPAN) * there
        level = level.requires_grad_()
        real, _ = network.judge(level, told)
        false, _ = network.judge(made.detach(), told)
        (slope,) = torch.autograd.grad(real.sum(), level, create_graph=True)
        penalty = slope.square().sum(dim=1).mean()
        critic = functional.relu(1.0 - real).mean() + functional.relu(1.0 + false).mean() + 1.0 * penalty
        own = {name: p.detach() for name, p in network.named_parameters() if not name.startswith("decoder")}
        fooled, _ = torch.func.functional_call(_Judge(network), {f"gan.{n}": p for n, p in own.items()}, (made, told))
        _, guessed = network.judge(made, told)
        information = functional.mse_loss(guessed, place)
        loss = critic - fooled.mean() + 0.5 * information
        return loss, {"critic": critic.detach(), "fooled": fooled.mean().detach(), "guessed": information.detach()}

    def validate(self, network: Any) -> Figures:
        _, there, told = self._of(self._valid)
        level = self._of(self._valid)[0]
        torch.manual_seed(1)
        made = network.decoder(torch.cat([torch.randn(len(told), AXES), told], dim=1)).clamp(min=-2.0) * there
        moments = [(x.mean(dim=0), x.std(dim=0)) for x in (made, level)]
        return {"score": -sum(SPAN * float((a - b).square().mean().sqrt()) for a, b in zip(*moments, strict=True))}

    def arrays(self, network: Any) -> dict[str, NDArray[Any]]:
        return with_axes(network.decoder.arrays(np.zeros(AXES), np.eye(AXES)))


class _Judge(nn.Module):
    """Critic as a module's call, with frozen parameters."""

    def __init__(self, gan: Any) -> None:
        super().__init__()
        self.gan: Any = gan

    def forward(self, level: torch.Tensor, told: torch.Tensor) -> Any:
        return self.gan.judge(level, told)
