"""`antiphon train notes FOLDER`: trains a variational autoencoder of the user's notes, and its decoder for `latent`."""

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from antiphon_latent.decoder import AXES, CONDITIONS, FRAMES, ROW, conditions
from antiphon_models.latent.material import Notes, measure_folder_notes
from antiphon_models.latent.pca import SAID, rotate_to_named_axes
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

BATCH = 64
VALIDATION_SHARE = 9
"""Validation share: one in this many programs."""
KL_WEIGHT = 0.0008
"""Weight of the KL divergence of a note's position, relative to the squared error."""
HIDDEN = (128, 64)
SIZE = FRAMES * ROW
SPAN, MIDDLE = 20.0, -40.0
"""Scale and offset in dB of levels in a network: the offset maps to 0, and `SPAN` dB above it to 1."""


class LatentDecoder(nn.Module):
    """Decodes positions and conditions `[n, AXES + CONDITIONS]` to levels `[n, FRAMES * ROW]`, where 1 is `SPAN` dB."""

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
        """Arrays for `antiphon_latent.decoder`, with the mean and covariance of the notes' positions."""
        found: dict[str, NDArray[Any]] = {"axes": np.linalg.cholesky(spread).T}
        for n, layer in enumerate(self.layers):
            found[f"w{n}"], found[f"b{n}"] = (p.detach().cpu().double().numpy() for p in (layer.weight, layer.bias))
        found["b0"] = found["b0"] + found["w0"][:, :AXES] @ middle
        found["rows"] = SPAN * self.last.weight.detach().cpu().double().numpy().reshape(FRAMES, ROW, -1)
        found["base"] = SPAN * self.last.bias.detach().cpu().double().numpy().reshape(FRAMES, ROW) + MIDDLE
        return found


class NoteVAE(nn.Module):
    """A variational autoencoder (Kingma and Welling 2014), both halves conditioned on pitch and velocity."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = LatentDecoder()
        self.encoder = nn.Sequential(nn.Linear(SIZE + CONDITIONS, 192), nn.SiLU(), nn.Linear(192, 2 * AXES))

    def forward(self, level: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the notes' positions."""
        mean, log_variance = self.encoder(torch.cat([level, told], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8.0, 4.0)


def _error(made: torch.Tensor, level: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of valid levels, clipped at the floor."""
    floor = (-80.0 - MIDDLE) / SPAN
    made = torch.where(level <= floor + 1e-3, made.clamp(min=floor), made)
    return ((made - level) ** 2 * there).sum() / there.sum()


class OwnNotesRecipe(Recipe):
    """Recipe for few notes at few pitches, augmented by other pitches and any velocity."""

    name = "notes"
    weights = "notes"
    plugin = "latent"
    module: ClassVar[type[nn.Module]] = NoteVAE
    steps = 2500
    rate = 1e-3
    takes = "single notes, a sound file each"

    def prepare(self, job: TrainingJob) -> None:
        assert job.folder is not None
        self._job = job
        self._take(measure_folder_notes(job.folder, job.material, job.say))

    def _take(self, notes: Notes) -> None:
        held = notes.program % VALIDATION_SHARE == 4
        self._all = notes
        self._rows = np.flatnonzero(~held)
        self._valid = np.flatnonzero(held) if held.any() else self._rows

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._job.seed, step])
        rows = rng.choice(self._rows, BATCH)
        level, there, _ = self._of(rows)
        pitch = self._all.pitch[rows] + rng.uniform(-9.0, 9.0, BATCH)
        told = conditions(pitch, rng.uniform(0.2, 1.0, BATCH))
        return level, there, torch.from_numpy(told).to(self._job.device)

    def _of(self, rows: NDArray[np.int64]) -> Batch:
        notes = self._all
        level = (notes.level[rows].reshape(len(rows), -1).astype(np.float32) - MIDDLE) / SPAN
        there = notes.there[rows].reshape(len(rows), -1).astype(np.float32)
        told = conditions(notes.pitch[rows], notes.velocity[rows])
        return tuple(torch.from_numpy(x).to(self._job.device) for x in (level * there, there, told))

    def loss(self, network: Any, batch: Batch) -> Loss:
        level, there, told = batch
        mean, log_variance = network(level, told)
        place = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = _error(network.decoder(torch.cat([place, told], dim=1)), level, there)
        far = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        return error + KL_WEIGHT * far, {"dB": SPAN * error.detach().sqrt(), "bits": far.detach() / np.log(2.0)}

    def validate(self, network: Any) -> Figures:
        level, there, told = self._of(self._valid)
        made = network.decoder(torch.cat([network(level, told)[0], told], dim=1))
        return {"score": -SPAN * float(_error(made, level, there).sqrt())}

    def arrays(self, network: Any) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            level, _, told = self._of(self._rows)
            mean, log_variance = network(level, told)
        spread = np.cov(mean.double().numpy().T) + np.diag(log_variance.exp().mean(dim=0).double().numpy())
        return rotate_to_named_axes(network.decoder.arrays(mean.mean(dim=0).double().numpy(), spread))

    def provenance(self) -> Mapping[str, Any]:
        count = len(self._all.pitch)
        return {**SAID, "licence": "yours", "trained_on": f"{count} notes of a folder"}
