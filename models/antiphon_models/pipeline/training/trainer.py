"""Framework interface of the training: an epoch, answers, weights, and the graph as ONNX.

An excerpt's bands are the channels of three convolutions over time; their mean and maximum over time go into one
layer. All frameworks begin with the same weights, which numpy draws.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon_models.pipeline.settings import Framework

KERNELS = (5, 3, 3)
"""Kernel length of each convolution in frames."""
POOLED = 2
"""Pooling length in frames after each convolution but the last."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes that determine the layers.

    `frames`: frames of an excerpt. `width`: channels of the first convolution; the others have twice and four times as
    many.
    """

    frames: int
    bands: int
    labels: int
    width: int

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """Input channels, output channels and kernel length in frames of each convolution."""
        out = [self.width << n for n in range(len(KERNELS))]
        return list(zip([self.bands, *out[:-1]], out, KERNELS, strict=True))

    @property
    def features(self) -> int:
        """Number of inputs of the last layer, `[n, features]`."""
        return 2 * (self.width << (len(KERNELS) - 1))


def initial_weights(shape: NetworkShape, seed: int) -> dict[str, F32]:
    """Initial weights: He et al. 2015 before rectifiers; biases are 0.

    `convN.weight` `[out, in, frames]`, `convN.bias`, `labels.weight` `[labels, features]`, `labels.bias`.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, F64] = {}
    for n, (before, after, span) in enumerate(shape.convolutions):
        weights[f"conv{n}.weight"] = rng.normal(0, np.sqrt(2 / (before * span)), (after, before, span))
        weights[f"conv{n}.bias"] = np.zeros(after)
    weights["labels.weight"] = rng.normal(0, np.sqrt(1 / shape.features), (shape.labels, shape.features))
    weights["labels.bias"] = np.zeros(shape.labels)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def parameters(weights: Mapping[str, F32]) -> int:
    """Number of trained parameters."""
    return sum(value.size for value in weights.values())


LabeledBatches = Sequence[tuple[F32, NDArray[Any]]]
"""Batches of excerpts `[n, frames, bands]` in dB, with targets of `excerpts.TrainingSet.targets`."""
MOMENTS, EPSILON = (0.9, 0.999), 1e-8
"""Parameters of Adam (Kingma and Ba 2015), in all frameworks."""
OPSET = 17
"""ONNX opset, where a framework accepts one."""


@dataclass(frozen=True, slots=True)
class TrainerTask:
    """Task of a trainer.

    `mean`: float32 `[bands]` in dB, which is subtracted. `deviation`: float32 `[bands]`, by which it is divided.
    `several`: whether an excerpt may have several labels: each then has a sigmoid; else softmax is used.
    `coefficients`: maximum cosine transform coefficients of a frame's bands, for trainers that use them.
    """

    shape: NetworkShape
    mean: F32
    deviation: F32
    seed: int
    threads: int
    several: bool = False
    coefficients: int = 20


class ClassifierTrainer(ABC):
    """Trainer of the classifier with one framework, created in a separate process, where it imports the framework.

    `iterative`: whether training has epochs; else a single call of `epoch` trains completely.
    """

    iterative: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, task: TrainerTask) -> None:
        """Creates the network, with `initial_weights`."""

    @abstractmethod
    def epoch(self, batches: LabeledBatches, rate: float) -> tuple[float, float]:
        """Trains once on each batch, in order, with learning rate `rate`. Returns the mean loss and accuracy."""

    @abstractmethod
    def answers(self, excerpts: F32) -> F32:
        """The framework's probabilities `[n, labels]` for excerpts `[n, frames, bands]` in dB."""

    @abstractmethod
    def weights(self) -> dict[str, F32]:
        """Copies of all trained arrays, by name."""

    @abstractmethod
    def set_weights(self, weights: Mapping[str, F32]) -> None:
        """Restores the result of `weights`."""

    @abstractmethod
    def moments(self) -> dict[str, F32]:
        """State of the optimizer, for an exact resumption."""

    @abstractmethod
    def set_moments(self, moments: Mapping[str, F32]) -> None:
        """Restores the result of `moments`."""

    @abstractmethod
    def export(self, path: Path) -> None:
        """Writes the graph: `INPUT` in dB to `OUTPUT`, for any number of excerpts."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Versions of the training packages."""


def loss_and_accuracy(answers: NDArray[np.floating[Any]], truth: NDArray[Any]) -> tuple[float, float]:
    """Mean loss of probabilities `[n, labels]`, and accuracy; with several labels, averaged over labels."""
    if truth.ndim == 2:
        likely = np.maximum(np.where(truth > 0.5, answers, 1 - answers), 1e-12)
        return float(-np.log(likely).mean()), float(((answers > 0.5) == (truth > 0.5)).mean())
    likely = np.maximum(answers[np.arange(len(truth)), truth], 1e-12)
    return float(-np.log(likely).mean()), float((answers.argmax(axis=1) == truth).mean())


def make_trainer(framework: Framework, task: TrainerTask) -> ClassifierTrainer:
    """Imports a framework and creates its trainer."""
    module, _, name = framework.trainer.partition(":")
    made: Any = getattr(importlib.import_module(module), name)(task)
    assert isinstance(made, ClassifierTrainer)
    return made
