"""`antiphon train dcgan`: a DCGAN on log spectrograms of notes (Radford 2015), sound by Griffin and Lim. Files only.

It is here to be measured beside the generators that play.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon.api import F32
from antiphon.api.models import read_weights
from antiphon.kernel.signal.features import import_librosa
from antiphon_latent.decoder import CONDITIONS, conditions
from antiphon_latent.partials import begin_of
from antiphon_models.latent.material import PROGRAMS, RATE as SOUND_RATE, sounds
from antiphon_models.latent.pca import SAID
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.fluidsynth import FLUID

RATE, SIZE, HOP = 8000, 256, 250
BINS, FRAMES = 128, 64
"""Of a spectrogram: to 4 kHz, two seconds."""
KEYS, VELOCITIES = (40, 46, 52, 58, 64, 70, 76), (100,)
NOISE, CHANNELS = 32, (64, 48, 32, 16)
RANGE = 80.0
"""dB of -1 to 1."""
BATCH = 24


class SpectrogramPainter(nn.Module):
    """Noise and conditions `[n, NOISE + CONDITIONS]` to spectrograms `[n, 1, BINS, FRAMES]` of -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = nn.Linear(NOISE + CONDITIONS, CHANNELS[0] * 32)
        widths = [*CHANNELS, 1]
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in CHANNELS)

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        """The spectrograms."""
        x = self.begin(told).view(-1, CHANNELS[0], 8, 4)
        for norm, grow in zip(self.norms, self.grow, strict=True):
            x = grow(functional.relu(norm(x)))
        return torch.tanh(x)


class Critic(nn.Module):
    """Spectrograms and conditions to how real they seem."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1 + CONDITIONS, *reversed(CHANNELS)]
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.end = nn.Linear(CHANNELS[0] * 32, 1)

    def forward(self, picture: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Logits `[n]`."""
        x = torch.cat([picture, told[:, :, None, None].expand(-1, -1, BINS, FRAMES)], dim=1)
        for shrink in self.shrink:
            x = functional.leaky_relu(shrink(x), 0.2)
        logit: torch.Tensor = self.end(x.flatten(1))[:, 0]
        return logit


class Both(nn.Module):
    """SpectrogramPainter and critic."""

    def __init__(self) -> None:
        super().__init__()
        self.painter, self.critic = SpectrogramPainter(), Critic()

    def forward(self, picture: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """As `Critic`."""
        logit: torch.Tensor = self.critic(picture, told)
        return logit


class DCGANRecipe(Recipe):
    """Both take their steps together, each from its own part of one loss."""

    name = "dcgan"
    weights = "latent-dcgan"
    plugin = "latent"
    module = Both
    steps = 4000
    rate = 4e-4

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        path = job.material / f"pictures-{len(KEYS)}.npz"
        if not path.exists():
            job.say(f"{len(PROGRAMS)} programs by {FLUID.stem}")
            rows = [
                (picture(row), key)
                for p in PROGRAMS
                for row, key in zip(sounds(FLUID, p, KEYS, VELOCITIES), KEYS, strict=False)
            ]
            np.savez(path, picture=np.array([x for x, _ in rows], np.float16), key=np.array([k for _, k in rows]))
        read = np.load(path)
        self._pictures, self._keys = read["picture"], read["key"].astype(np.float32)

    def batch(self, step: int) -> Batch:
        rows = np.random.default_rng([self._job.seed, step]).integers(0, len(self._keys), BATCH)
        told = conditions(self._keys[rows], np.full(BATCH, VELOCITIES[0] / 127.0))
        given = (self._pictures[rows].astype(np.float32)[:, None], told)
        return tuple(torch.from_numpy(x).to(self._job.device) for x in given)

    def loss(self, network: Any, batch: Batch) -> Loss:
        real, told = batch
        made = network.painter(torch.cat([torch.randn(len(told), NOISE, device=told.device), told], dim=1))
        still = {name: p.detach() for name, p in network.named_parameters()}
        fooled = functional.softplus(-torch.func.functional_call(network, still, (made, told))).mean()
        critic = (
            functional.softplus(-network(real, told)).mean() + functional.softplus(network(made.detach(), told)).mean()
        )
        return critic + fooled, {"critic": critic.detach(), "fooled": fooled.detach()}

    def validate(self, network: Any) -> Figures:
        torch.manual_seed(1)
        rows = slice(0, None, 7)
        told = torch.from_numpy(conditions(self._keys[rows], np.full(len(self._keys[rows]), VELOCITIES[0] / 127.0)))
        made = network.painter(torch.cat([torch.randn(len(told), NOISE), told], dim=1))[:, 0].numpy()
        real = self._pictures[rows].astype(np.float32)
        apart = [np.sqrt(np.mean((f(made, 0) - f(real, 0)) ** 2)) for f in (np.mean, np.std)]
        return {"score": -0.5 * RANGE * float(sum(apart))}

    def said(self) -> Mapping[str, Any]:
        return SAID

    def arrays(self, network: Any) -> dict[str, NDArray[Any]]:
        found = super().arrays(network.painter)
        return {name: array.astype(np.float16) for name, array in found.items() if "num_batches" not in name}


def picture(sound: F32) -> F32:
    """The log spectrogram `[BINS, FRAMES]` of a note at `SOUND_RATE`: -1 is `RANGE` dB below its greatest."""
    librosa = import_librosa()
    import soxr

    low = soxr.resample(sound[begin_of(sound) :], SOUND_RATE, RATE)
    low = np.pad(low, (0, FRAMES * HOP))[: (FRAMES - 1) * HOP]
    level = np.abs(librosa.stft(low, n_fft=SIZE, hop_length=HOP))[1:]
    shown = 20.0 * np.log10(np.maximum(level / max(1e-9, level.max()), 10.0 ** (-RANGE / 20.0)))
    return np.asarray(shown / (0.5 * RANGE) + 1.0, np.float32)


def paint(pitch: NDArray[Any], velocity: NDArray[Any], seed: int) -> tuple[F32, int]:
    """Notes of the weights that ship, `[n, frames]` at the rate that comes with them."""
    librosa = import_librosa()
    painter = SpectrogramPainter().eval()
    own = {name: torch.from_numpy(array.astype(np.float32)) for name, array in read_weights("latent-dcgan").items()}
    painter.load_state_dict(own, strict=False)
    noise = np.random.default_rng(seed).standard_normal((len(pitch), NOISE))
    told = np.concatenate([noise, conditions(pitch, velocity)], axis=1).astype(np.float32)
    with torch.inference_mode():
        shown = painter(torch.from_numpy(told))[:, 0].numpy()
    level = 10.0 ** ((shown - 1.0) * 0.5 * RANGE / 20.0)
    level = np.pad(level, ((0, 0), (1, 0), (0, 0)))
    rows = [librosa.griffinlim(x, n_iter=32, hop_length=HOP, n_fft=SIZE, random_state=1) for x in level]
    return np.array(rows, np.float32), RATE
