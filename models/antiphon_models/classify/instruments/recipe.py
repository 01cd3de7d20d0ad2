"""The training of `instruments`: families alone and in mixes, most of which are mixed anew for each batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from antiphon.api import F32
from antiphon_classify.classifier import EXCERPT, MEL
from antiphon_classify.network import level_free
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.instruments import material, thresholds
from antiphon_models.classify.instruments.families import LABELS, targets
from antiphon_models.classify.instruments.mixing import NONE, audible, draw_families, gains
from antiphon_models.classify.recipe import ClassifierRecipe, mask
from antiphon_models.learning import needs
from antiphon_models.learning.recipe import Batch, Figures, Loss, TrainingJob

ALONE, RECORDED = 0.4, 0.15
"""Share of a batch that is one family alone, and that is mixes recorded as such; the rest is mixed for the batch."""
SHORT, SHORT_STEPS = EXCERPT // 2, 0.6
"""Frames of the excerpts of the first batches, which take half the time, and the share of the steps that has them.

A training that begins with trained weights has none of them.
"""
POINTS = 6
"""At which a random curve over the bands is drawn."""


class InstrumentsRecipe(ClassifierRecipe):
    """Families of instruments: a probability of each."""

    name = "instruments"
    weights = "classify-instruments"
    trained_on = (
        "takes by rules, played by FluidR3, MuseScore General, OPL3 and FreePats; espeak-ng's voices; Sonic Pi's drums "
        "(CC0); noises of ESC-10 (CC BY)"
    )
    labels: ClassVar[tuple[str, ...]] = LABELS
    steps = 20000
    units: ClassVar[int] = 512

    def material(self, job: TrainingJob) -> tuple[LabeledClips, LabeledClips]:
        needs.folders(job.data, ("sonicpi", "esc10"))
        solos, mixes, chosen = (clips.read(*paths) for paths in material.make(job))
        truth = solos.targets
        self._rows = {label: np.flatnonzero(truth[:, n] > 0.5) for n, label in enumerate(LABELS)}
        self._rows[NONE] = np.flatnonzero(truth.max(axis=1) < 0.5)
        self._mixes = mixes
        return solos, chosen

    def network(self) -> torch.nn.Module:
        made = super().network()
        # a third less time a step on a CPU
        made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return made

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.job.seed, step))
        frames = SHORT if step < SHORT_STEPS * self.steps and not self.job.further else EXCERPT
        excerpts, truths = [], []
        for _ in range(self.size):
            kind = rng.random()
            if ALONE <= kind < ALONE + RECORDED:
                row = int(rng.integers(len(self._mixes)))
                mel, truth = _excerpt(self._mixes, row, frames, rng), self._mixes.targets[row].tolist()
            else:
                count = 1 if kind < ALONE else int(rng.choice([2, 3, 4, 5], p=[0.34, 0.26, 0.22, 0.18]))
                mel, truth = self._mixed(count, frames, rng)
            excerpts.append(mask(level_free(colour(mel, rng)), rng))
            truths.append(truth)
        device = self.job.device
        return torch.from_numpy(np.stack(excerpts)).to(device), torch.tensor(truths, dtype=torch.float32).to(device)

    def _mixed(self, count: int, frames: int, rng: np.random.Generator) -> tuple[F32, list[float]]:
        """Excerpts of families at random levels as one: energies of sounds that are not in phase add up."""
        labels = draw_families(count, rng)
        if rng.random() < 0.06 and len(self._rows[NONE]):
            labels = [NONE] if count == 1 else [*labels[:-1], NONE]
        total, powers = np.zeros((frames, self.train.mel.shape[2]), np.float32), {}
        for label, gain in zip(labels, gains(len(labels), rng), strict=True):
            rows = self._rows[label]
            mel = _excerpt(self.train, int(rows[rng.integers(len(rows))]), frames, rng)
            mel = colour(mel, rng, noise=False) if count > 1 else mel
            energy = 10.0 ** (mel / 10.0)
            power = float(energy.mean()) + 1e-12
            total += np.float32(gain / power) * energy
            powers[label] = float(gain)
        return np.asarray(10.0 * np.log10(total + 1e-10), np.float32), targets(audible(powers))

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        # 16 bits take a little over half the time on a CPU that has them
        with torch.autocast(self.job.device.type, torch.bfloat16):
            logits = network(batch[0])
        return torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), batch[1]), {}

    def validate(self, network: torch.nn.Module) -> Figures:
        """Mean average precision, accuracy of families alone, and macro-F1 of mixes at the thresholds chosen here."""
        logits = self.answers(network, self.valid)
        truth = np.asarray(self.valid.targets, np.float32) > 0.5
        alone = self.valid.groups == 1
        self._chosen = thresholds.choose(logits, truth)
        present = thresholds.probabilities(logits, self._chosen) >= np.array(self._chosen["thresholds"])
        right = (logits[alone].argmax(axis=1) == truth[alone].argmax(axis=1)).mean()
        return {
            **super().validate(network),
            "alone": float(right),
            "mixes": thresholds.macro_f1(present[~alone], truth[~alone]),
        }

    def answers(self, network: torch.nn.Module, clips: LabeledClips) -> F32:
        """As the analysis joins them: the first excerpt of each clip, and the one that ends with it."""
        both = np.concatenate([clips.mel[:, :EXCERPT], clips.mel[:, -EXCERPT:]], axis=1)
        return super().answers(network, LabeledClips(both, clips.targets, clips.groups))

    def said(self) -> Mapping[str, Any]:
        return {**super().said(), "labels": list(LABELS), **self._chosen}


def _excerpt(sounds: LabeledClips, row: int, frames: int, rng: np.random.Generator) -> F32:
    start = int(rng.integers(0, sounds.mel.shape[1] - frames + 1))
    return sounds.mel[row, start : start + frames].astype(np.float32)


def colour(mel: F32, rng: np.random.Generator, *, noise: bool = True) -> F32:
    """An excerpt in a room, through an equaliser, its bands moved by up to two; with noise, at times without treble."""
    bands = mel.shape[1]
    if rng.random() < 0.4:
        mel = in_room(mel, rng)
    curve = np.interp(np.arange(bands), np.linspace(0, bands - 1, POINTS), rng.normal(0.0, 3.5, POINTS))
    made = mel + curve.astype(np.float32)
    if rng.random() < 0.3:
        move = int(rng.integers(-2, 3))
        made = made[:, np.clip(np.arange(bands) - move, 0, bands - 1)]
    if noise and rng.random() < 0.3:
        level = made.max() - rng.uniform(25.0, 60.0) + rng.normal(0.0, 3.0) * np.linspace(-1.0, 1.0, bands)
        grain = 10.0 * np.log10(rng.chisquare(4, made.shape) / 4.0 + 1e-3)
        made = np.logaddexp(made * 0.2303, (level + grain) * 0.2303) / 0.2303
    if noise and rng.random() < 0.12:
        first = int(rng.integers(bands // 2, bands))
        made[:, first:] -= rng.uniform(20.0, 60.0)
    return np.asarray(made, np.float32)


def in_room(mel: F32, rng: np.random.Generator) -> F32:
    """An excerpt with energy that dies away exponentially behind each frame, up to as much as the frame's own."""
    frames = np.arange(len(mel))
    decay = float(np.exp(-np.log(1e6) * MEL.hop / MEL.rate / rng.uniform(0.2, 1.5)))
    behind = frames[:, None] - frames[None, :]
    tail = np.where(behind > 0, decay ** np.maximum(behind, 0), 0.0) * (1.0 - decay) * 10.0 ** rng.uniform(-1.5, 0.0)
    energy = 10.0 ** (mel / 10.0)
    return np.asarray(10.0 * np.log10(energy + tail.astype(np.float32) @ energy + 1e-10), np.float32)
