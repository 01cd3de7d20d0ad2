"""`antiphon train tried-textures FOLDER`: a texture with the statistics of the sound in a folder.

The network is the log spectrogram of the new sound: it is trained from noise until the correlations of random filters
over it are the reference's (Ulyanov and Lebedev, Audio texture synthesis and style transfer, 2016), with filters of
several lengths and two terms of Antognini et al. (2018): the autocorrelation of what the filters give, for rhythm, and
the inverse of the distance to the reference, against copies. To be heard, with phases by Griffin and Lim (1984):
python -m antiphon_models.tried.textures WEIGHTS OUT.wav.

It has the colour and the events of the reference, not its notes in order: an effect for noises and crowds. On two
references of ten seconds the distance of timbre fell to .43 of that of another sound, and a texture of 3 s took 11 s
of one core. Here its row is what is left of the filters' loss, and that distance beside the one of noise with the
reference's spectrum, which it begins with: of drops that noise is as near (27 dB; after 60 steps it is 28).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from antiphon.api import F32, UsageError
from antiphon.api.backends.files import SOUND_FORMATS, AudioWriter, read_sound
from antiphon.api.backends.models import read_weights
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.transfer.measures import timbre_distance

RATE, SIZE, HOP = 22050, 512, 256
LENGTHS, FILTERS = (2, 8, 24), 128
"""Lengths of the filters in frames, and number of each length."""
RHYTHM, DIVERSE = 0.3, 0.02
"""Weights of the autocorrelation and of the distance to the reference."""
LAGS = slice(17, 172)
"""Lags in frames of the filter outputs' autocorrelation: 0.2 to 2 s."""
ROUNDS = 60
LONGEST = 30.0
"""Maximum seconds of a reference, and of the texture."""


class RandomFilters:
    """One layer of random filters over a log spectrogram `[bins, frames]`, and the statistics of the reference."""

    def __init__(self, reference: Tensor, length: int, chance: torch.Generator) -> None:
        scale = (len(reference) * length) ** -0.5
        self._weights = scale * torch.randn(FILTERS, len(reference), length, generator=chance)
        self._given = self._filter(reference)
        self._gram, self._rhythm = self._statistics(self._given)

    def _filter(self, x: Tensor) -> Tensor:
        return functional.relu(functional.conv1d(x[None], self._weights))[0]

    @staticmethod
    def _statistics(found: Tensor) -> tuple[Tensor, Tensor]:
        sums = found.sum(0) - found.sum(0).mean()
        power = torch.fft.rfft(sums, 2 * len(sums)).abs().square()
        return found @ found.T / found.shape[1], torch.fft.irfft(power)[LAGS] / len(sums)

    def loss(self, x: Tensor) -> Tensor:
        """Distance of a spectrogram from the reference's statistics, and similarity to the reference itself."""
        found = self._filter(x)
        gram, rhythm = self._statistics(found)
        total = (gram - self._gram).square().sum() / self._gram.square().sum()
        total = total + RHYTHM * (rhythm - self._rhythm).square().sum() / (self._rhythm.square().sum() + 1e-9)
        return total + DIVERSE / ((found - self._given).square().sum() / self._given.square().sum() + 1e-3)


class TextureSpectrogram(torch.nn.Module):
    """Log spectrogram `[bins, frames]`, initialised with noise around the reference's mean, with power per bin kept."""

    power: Tensor

    def __init__(self, reference: Tensor) -> None:
        super().__init__()
        noise = 0.3 * reference.std() * torch.randn_like(reference)
        self.levels = torch.nn.Parameter(reference.mean(1, keepdim=True) + noise)
        self.register_buffer("power", torch.expm1(reference).square().mean(1, keepdim=True))

    def forward(self) -> Tensor:
        return functional.relu(self.levels)


class TexturesRecipe(Recipe):
    """See the module."""

    name = "tried-textures"
    weights = "tried-textures"
    plugin = "transfer"
    steps = 120
    rate = 0.08
    takes = "one sound, of a texture"

    def prepare(self, job: TrainingJob) -> None:
        assert job.folder is not None
        files = sorted(path for path in job.folder.iterdir() if path.suffix.lower() in SOUND_FORMATS)
        if not files:
            raise UsageError(f"{job.folder} holds no sound; give a folder with one")
        self._sound = read_sound(files[0], rate=RATE).samples.mean(0)[: round(LONGEST * RATE)]
        spectrum = _spectrum(torch.from_numpy(self._sound))
        self._reference = torch.log1p(1000.0 / SIZE * spectrum.abs())
        chance = torch.Generator().manual_seed(job.seed)
        self._filters = [RandomFilters(self._reference, length, chance) for length in LENGTHS]
        self._said = {"licence": "of the recording", "trained_on": f"a recording in a folder named {job.folder.name}"}

    def network(self) -> TextureSpectrogram:
        return TextureSpectrogram(self._reference)

    def batch(self, step: int) -> Batch:
        return ()

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        levels = network()
        total = torch.stack([filters.loss(levels) for filters in self._filters]).sum()
        return total, {"apart": total.detach()}

    def validate(self, network: torch.nn.Module) -> Figures:
        begun = self.network()
        made, noise = (timbre_distance(sound_of(one(), begun.power), self._sound) for one in (network, begun))
        return {"score": -float(self.loss(network, ())[0]), "timbre": made, "timbre_of_noise": noise}

    def said(self) -> dict[str, Any]:
        return {**super().said(), **self._said}


def _spectrum(sound: Tensor) -> Tensor:
    return torch.stft(sound, SIZE, HOP, window=torch.hann_window(SIZE), return_complex=True)


@torch.no_grad()
def sound_of(levels: Tensor, power: Tensor) -> F32:
    """Sound `[n]` at `RATE` with a log spectrogram, its bins scaled to `power`."""
    made = torch.expm1(levels) * (SIZE / 1000.0)
    magnitudes = made * (power / (torch.expm1(levels).square().mean(1, keepdim=True) + 1e-9)).sqrt()
    turns = 2 * np.pi * torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(1))
    spectrum = torch.polar(magnitudes, turns)
    for _ in range(ROUNDS):
        sound = torch.istft(spectrum, SIZE, HOP, window=torch.hann_window(SIZE))
        spectrum = torch.polar(magnitudes, _spectrum(sound).angle())
    return np.asarray(sound.numpy(), np.float32)


def main(folder: Path, target: Path) -> None:
    """Writes the texture of the weights in `folder`."""
    arrays = {name: torch.from_numpy(array) for name, array in read_weights("tried-textures", folder).items()}
    sound = sound_of(functional.relu(arrays["levels"]), arrays["power"])
    with AudioWriter(target, RATE, 1, "PCM_16") as writer:
        writer.write(0.7 * sound[None] / max(1e-6, float(np.abs(sound).max())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
