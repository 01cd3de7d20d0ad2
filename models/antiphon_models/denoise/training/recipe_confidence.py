"""`antiphon train denoise-confidence`: confidence of the mask's gains, band by band.

The loss is the gain of each example, and counts harm by the item: beside what an item loses, whether it loses at all.
"""

from typing import Any, ClassVar

import numpy as np
import torch

from antiphon_denoise.learned.confidence import MODEL
from antiphon_denoise.learned.file_confidence import MODEL as FILE_MODEL
from antiphon_models.denoise.training import confidence, material
from antiphon_models.denoise.training.confidence import (
    FILE,
    ConfidenceNetwork as Network,
    Examples,
    FileConfidenceNetwork,
    errors,
)
from antiphon_models.denoise.training.recipe import HARM_WEIGHTS, MARGIN, MOST, PURE_SDR_DB, MaskRecipe, figures_of
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

TARGET_SDR_DB = 42.0
"""Target SI-SDR in dB of clean sound."""
HARMED, SOFT = -0.3, 0.3
"""Loss in dB from which an item counts as harmed, and width of that transition."""
LATENCY_HOPS = 31
"""Hops of a pause until its noise should be suppressed: a quarter second."""
QUIET_PAUSE = 26.0
HARD_GAIN, HARD_PURE = 0.5, 35.0
"""Gain and SI-SDR of clean sound in dB below which an example is drawn more often."""


class ConfidenceRecipe(Recipe):
    """Recipe of `denoise-confidence`: examples of five seconds, each from a silent state."""

    name = "denoise-confidence"
    weights = MODEL
    plugin = "denoise"
    module: ClassVar[type[torch.nn.Module]] = Network
    trained_on = f"{MaskRecipe.trained_on}, through denoise-mask and denoise-gate"
    steps = 700
    rate = 3e-3
    shares = "denoise"
    frames: ClassVar[int] = 625
    files: ClassVar[tuple[int, int]] = (130, 20)
    """Number of files of examples, for training and for validation."""
    items: ClassVar[int] = 16
    harm: ClassVar[float] = 12.0
    """Weight of a loss relative to a gain at the end; 1 at the start."""
    count: ClassVar[float] = 4.0
    """Weight of the share of harmed items."""
    dropout: ClassVar[float] = 0.1
    """Maximum dropout of the features over a whole example."""
    hard: ClassVar[float] = 5.0
    """Oversampling factor of examples on which the mask alone fails."""

    def prepare(self, job: TrainingJob) -> None:
        folder = job.material / "examples"
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        if any(not (folder / f"train-{n:04d}.npz").is_file() for n in range(self.files[0])) or any(
            not (folder / f"valid-{n:04d}.npz").is_file() for n in range(self.files[1])
        ):
            kinds = confidence.divided(material.load(job.material, "train"), material.load(job.material, "valid"))
            confidence.make(folder, "train", self.files[0], kinds["train"], self.frames, job.say)
            confidence.make(folder, "valid", self.files[1], kinds["valid"], self.frames, job.say)
        self._train = confidence.load(folder, "train", self.files[0])
        self._valid = confidence.load(folder, "valid", self.files[1])
        self._odds = self._drawn(self._train)

    def _drawn(self, every: Examples) -> Any:
        """Sampling probability of each example, `[N]`."""
        alone = torch.tensor([0.0, 1.0, 0.0, 0.0])
        rows = range(0, len(every.own), FILE)
        figures = [
            _figures(part, alone.expand(*part.statistics.shape[:3], 4)) for part in (_part(every, n) for n in rows)
        ]
        gain, after = (torch.cat([figure[n] for figure in figures]) for n in (0, 1))
        pure = every.snr > PURE_SDR_DB
        odds = torch.where(torch.where(pure, after < HARD_PURE, gain < HARD_GAIN), self.hard, 1.0).double()
        odds[every.silent] = 0.5
        return (odds / odds.sum()).numpy()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = torch.from_numpy(rng.choice(len(self._odds), self.items, replace=False, p=self._odds))
        every = self._train
        way = torch.tensor(1.0 if self._job.further else min(1.0, step / self.steps))
        some = (
            part[rows] for part in (every.features, every.statistics, every.own, every.gap, every.snr, every.silent)
        )
        return tuple(part.to(self._job.device) for part in (*some, way))

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        *parts, way = batch
        part = Examples(*parts)
        features = part.features.float()
        kept = torch.rand(len(features), 1, features.shape[2], device=features.device)
        features = features * (kept > self.dropout * torch.rand(len(features), 1, 1, device=features.device))
        gain, after, rest = _figures(part, network(features))
        pure, noisy = (part.snr > PURE_SDR_DB) & ~part.silent, (part.snr <= PURE_SDR_DB) & ~part.silent
        harm = HARM_WEIGHTS[0] + (self.harm - HARM_WEIGHTS[0]) * way
        own = -gain.clamp(max=MOST) + harm * (MARGIN - gain).clamp(min=0.0)
        own = own + self.count * torch.sigmoid((HARMED - gain) / SOFT)
        nothing = torch.zeros_like(own)
        own = torch.where(noisy, own, torch.where(pure, 0.35 * (TARGET_SDR_DB - after).clamp(min=0.0), nothing))
        loud = torch.where(torch.isfinite(rest) & ~pure, (torch.nan_to_num(rest) + QUIET_PAUSE).clamp(min=0.0), nothing)
        return 0.1 * (own.mean() + 0.12 * loud.mean()), {
            "gain": gain[noisy].mean().detach(),
            "harmed": (gain[noisy] < -0.5).float().mean(),
            "pure": after[pure].mean().detach(),
            "pauses": torch.nanmean(rest).detach(),
        }

    def validate(self, network: torch.nn.Module) -> Figures:
        found = []
        for first in range(0, len(self._valid.own), FILE):
            part = _part(self._valid, first)
            found.append(torch.stack(_figures(part, network(part.features.float().to(self._job.device)).cpu()), 1))
        gain, after, rest = torch.cat(found).unbind(1)
        snr, silent = self._valid.snr, self._valid.silent
        noisy, pure = (snr <= PURE_SDR_DB) & ~silent, (snr > PURE_SDR_DB) & ~silent
        return figures_of(gain, after, rest, snr, noisy, pure)


class FileConfidenceRecipe(ConfidenceRecipe):
    """Recipe of the file network, on the same examples."""

    name = "denoise-confidence-file"
    weights = FILE_MODEL
    module = FileConfidenceNetwork


def _part(every: Examples, first: int) -> Examples:
    rows = slice(first, first + FILE)
    return Examples(
        every.features[rows],
        every.statistics[rows],
        every.own[rows],
        every.gap[rows],
        every.snr[rows],
        every.silent[rows],
    )


def _figures(part: Examples, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gain, signal-to-distortion ratio, and level change of pauses, each `[N]` in dB; NaN without a pause."""
    left = errors(part.statistics, shares)
    after, before, own = left.sum((1, 2)), part.statistics[..., 0].sum((1, 2)), part.own
    pause = (part.gap > 0.99).float()
    pause = pause * torch.nn.functional.pad(pause, (LATENCY_HOPS, 0))[:, : pause.shape[1]]
    here = (left.sum(2) * pause).sum(1)
    noise = (part.statistics[..., 0].sum(2) * pause).sum(1)
    gain = 10.0 * torch.log10((before + 1e-7 * own + 1e-9) / (after + 1e-7 * own + 1e-9))
    ratio = 10.0 * torch.log10((own + 1e-9) / (after + 1e-8 * own + 1e-9))
    rest = 10.0 * torch.log10((here + 1e-12 * before) / (noise + 1e-12) + 1e-9)
    return gain, ratio, torch.where(noise > 1e-4 * before.clamp(min=1e-6), rest, torch.nan)
