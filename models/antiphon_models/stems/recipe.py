"""`antiphon train stems` and `stems-live`: masks of random mixes, made as `mixes` says."""

import random
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_models.denoise.training import splits
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.stems import material, mixes
from antiphon_models.stems.mixes import Measured, Mixes
from antiphon_models.stems.network import FileStems
from antiphon_models.stems.recorded import pieces, stretch
from antiphon_models.stems.streaming import StreamStems
from antiphon_stems.grids import FILE, LIVE, STEMS, UnitGrid
from antiphon_stems.network import describe_file

TRAINED_ON = (
    "POP909, freedoom, openttd-openmsx and composed songs by FluidR3, MuseScore_General and OPL-3 soundfonts and "
    "drawn synthesisers; espeak-ng voices, LibriSpeech (CC BY) and hibari-tts speech sung by WORLD; Sonic Pi drum "
    "loops and one-shots"
)
TAKEN = 16
"""Frames of a mix that a step of the network of files takes."""


class LiveStemsRecipe(Recipe):
    """Recipe of the node's network."""

    name, weights, plugin, shares = "stems-live", "stems-live", "stems", "stems"
    module: ClassVar[type[torch.nn.Module]] = StreamStems
    trained_on = (
        f"{TRAINED_ON}; recorded music of Debian's packages named in antiphon_models.stems.recorded, "
        "screened by Spleeter's network (its voice more than 14 dB down), and the voices of hedgewars-data (GPL-2) and "
        "asterisk-core-sounds (CC BY-SA) in WORLD"
    )
    steps = 3000
    rate = 1.2e-3
    half = keeps_best = True
    grid: ClassVar[UnitGrid] = LIVE
    count, held = 16, 32
    """Mixes of a step, and of each kind of validation."""

    def prepare(self, job: TrainingJob) -> None:
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        self._mixes = Mixes(clips(job, "train"), job.device, self.grid)
        valid, rng = Mixes(clips(job, "valid"), job.device, self.grid, fixed=True), np.random.default_rng(job.seed)
        kinds = {"mono": (True, 0.0), "stereo": (False, 0.0), "record": (True, 1.0)}
        self._held = {name: valid.draw(rng, self.held, mono=mono, record=of) for name, (mono, of) in kinds.items()}

    def batch(self, step: int) -> Batch:
        with torch.no_grad():
            return self._mixes.draw(np.random.default_rng((self._job.seed, step)), self.count)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        mix = Measured(*batch)
        return mixes.loss(self._shares(network, mix), mix), {}

    def validate(self, network: torch.nn.Module) -> Figures:
        return mixes.figures(partial(self._shares, network), self._held)

    def _shares(self, network: torch.nn.Module, mix: Measured) -> torch.Tensor:
        """Shares of whole mixes."""
        assert isinstance(network, StreamStems)
        return network.whole(mix.power, mix.side)


class StemsRecipe(LiveStemsRecipe):
    """Recipe of the file network, of single frames."""

    name, weights, shares = "stems", "stems-file", ""
    module = FileStems
    trained_on = TRAINED_ON
    rate, half = 2e-3, False
    grid: ClassVar[UnitGrid] = FILE

    def batch(self, step: int) -> Batch:
        mix = Measured(*super().batch(step))
        frames = np.random.default_rng((step, TAKEN)).choice(mix.power.shape[1], TAKEN, replace=False)
        power, side, total, shared, own = (x[:, frames] for x in mix[:5])
        return (*described(mix, frames), power, side, total, shared, own, mix.known)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        bands, details, *rest = batch
        shares = network(bands.flatten(0, 1), details.flatten(0, 1)).unflatten(0, bands.shape[:2])
        return mixes.loss(shares, Measured(*rest), TAKEN), {}

    def _shares(self, network: torch.nn.Module, mix: Measured) -> torch.Tensor:
        bands, details = described(mix, np.arange(mix.power.shape[1]))
        return torch.stack([network(*both) for both in zip(bands, details, strict=True)])


def described(mix: Measured, frames: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of frames of mixes, as of files: `[mixes, frames, …]`."""
    both = [describe_file(FILE, *pair) for pair in zip(mix.power.cpu().numpy(), mix.side.cpu().numpy(), strict=True)]
    bands, details = (torch.from_numpy(np.stack([pair[k][frames] for pair in both])) for k in (0, 1))
    return bands.to(mix.power.device), details.to(mix.power.device)


def clips(job: TrainingJob, part: splits.Part) -> dict[str, mixes.Clips]:
    """Clips of a part by kind, of the material and of recorded instrumentals."""
    found: dict[str, list[tuple[int, NDArray[np.int16]]]] = {}
    for song, path in enumerate(sorted(job.material.glob(f"{part}-*.npy"))):
        for kind, sound in zip(STEMS, np.load(path), strict=True):
            if np.any(sound[::97]) and (kind != "voice" or part == "train"):
                found.setdefault(kind, []).append((song, sound))
    voices = sorted(job.material.glob(f"voice-{part}-*.npy"))
    found.setdefault("voice", []).extend((-1, np.load(path)[0]) for path in voices)
    for path in (path for package in pieces(job.data, part) for path in package if path.stem != "guitar"):
        sound = stretch(path, random.Random(path.name), material.RATE, material.FRAMES)
        found.setdefault("record", []).append((-1, np.round(sound * 32767).astype(np.int16)))
    return {kind: mixes.joined(sounds, material.RATE, job.device) for kind, sounds in found.items()}
