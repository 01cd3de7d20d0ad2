"""`antiphon train latent-vae`, `latent-gan` and `notes`: decoders of notes, on what FluidR3 plays or a folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon_latent.decoder import AXES, conditions
from antiphon_models.latent.material import Notes, by_folder, by_font
from antiphon_models.latent.network import MIDDLE, SPAN, NoteGAN, NoteVAE
from antiphon_models.latent.pca import SAID, with_axes
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

BATCH = 64
HELD_OUT = 9
"""One of so many programs is for the validation."""
TIGHT = 0.0008
"""Weight of the distance of a note's place from the middle, beside the squared error."""


class _Notes(Recipe):
    """Batches of notes: levels, what of them there is, conditions."""

    plugin = "latent"
    rate = 1e-3
    shares = "latent"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._take(by_font(job.material, job.say))

    def _take(self, notes: Notes) -> None:
        held = notes.program % HELD_OUT == 4
        self._all = notes
        self._rows = np.flatnonzero(~held)
        self._valid = np.flatnonzero(held) if held.any() else self._rows

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._job.seed, step])
        return self._of(rng.choice(self._rows, BATCH))

    def _of(self, rows: NDArray[np.int64]) -> Batch:
        notes = self._all
        level = (notes.level[rows].reshape(len(rows), -1).astype(np.float32) - MIDDLE) / SPAN
        there = notes.there[rows].reshape(len(rows), -1).astype(np.float32)
        told = conditions(notes.pitch[rows], notes.velocity[rows])
        return tuple(torch.from_numpy(x).to(self._job.device) for x in (level * there, there, told))

    def said(self) -> Mapping[str, Any]:
        return SAID


class VAERecipe(_Notes):
    """The decoder by a variational autoencoder."""

    name = "latent-vae"
    weights = "latent-vae"
    module = NoteVAE
    steps = 6000

    def loss(self, network: Any, batch: Batch) -> Loss:
        level, there, told = batch
        mean, log_variance = network(level, told)
        place = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = _error(network.decoder(torch.cat([place, told], dim=1)), level, there)
        far = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        return error + TIGHT * far, {"dB": SPAN * error.detach().sqrt(), "bits": far.detach() / np.log(2.0)}

    def validate(self, network: Any) -> Figures:
        level, there, told = self._of(self._valid)
        made = network.decoder(torch.cat([network(level, told)[0], told], dim=1))
        return {"score": -SPAN * float(_error(made, level, there).sqrt())}

    def arrays(self, network: Any) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            level, _, told = self._of(self._rows)
            mean, log_variance = network(level, told)
        spread = np.cov(mean.double().numpy().T) + np.diag(log_variance.exp().mean(dim=0).double().numpy())
        return with_axes(network.decoder.arrays(mean.mean(dim=0).double().numpy(), spread))


def _error(made: torch.Tensor, level: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean squared difference where there is something; what is below the floor is at the floor."""
    floor = (-80.0 - MIDDLE) / SPAN
    made = torch.where(level <= floor + 1e-3, made.clamp(min=floor), made)
    return ((made - level) ** 2 * there).sum() / there.sum()


class GANRecipe(_Notes):
    """The decoder by a generative adversarial network: hinge loss, R1, and places that can be guessed back.

    Generator and critic take their steps together, each from its own part of one loss. Critic: Lim and Ye 2017, with
    the penalty of Mescheder 2018. Guessed places: Chen 2016 (InfoGAN); without them most axes do nothing.
    """

    name = "latent-gan"
    weights = "latent-gan"
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
    """`NoteGAN.judge` as a module's call, for parameters that stand still."""

    def __init__(self, gan: Any) -> None:
        super().__init__()
        self.gan: Any = gan

    def forward(self, level: torch.Tensor, told: torch.Tensor) -> Any:
        return self.gan.judge(level, told)


class OwnNotesRecipe(VAERecipe):
    """A decoder of one's own sounds: `antiphon train notes FOLDER`.

    Few notes at few pitches: they are learned at others too, as they are, and at any velocity.
    """

    name = "notes"
    weights = "notes"
    steps = 2500
    shares = ""
    takes = "single notes, a sound file each"

    def prepare(self, job: TrainingJob) -> None:
        assert job.folder is not None
        self._job = job
        self._take(by_folder(job.folder, job.material, job.say))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._job.seed, step])
        rows = rng.choice(self._rows, BATCH)
        level, there, _ = self._of(rows)
        pitch = self._all.pitch[rows] + rng.uniform(-9.0, 9.0, BATCH)
        told = conditions(pitch, rng.uniform(0.2, 1.0, BATCH))
        return level, there, torch.from_numpy(told).to(self._job.device)

    def said(self) -> Mapping[str, Any]:
        count = len(self._all.pitch)
        return {**SAID, "licence": "yours", "trained_on": f"{count} notes of a folder"}
