"""The interface of a training, for plugin authors: material, network, batches, loss.

    class Mask(Recipe):
        name, weights, plugin, steps = "denoise", "denoise-mask", "denoise", 20000
        module = MaskNetwork

        def prepare(self, job): ...
        def batch(self, step): ...
        def loss(self, network, batch): ...
        def validate(self, network): ...

`antiphon_trainings` registers it. It is imported by `antiphon train` only, so it may import torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api.backends.networks import fill_network

Batch: TypeAlias = tuple[torch.Tensor, ...]
Loss: TypeAlias = tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]
"""Scalar loss with further figures for the log."""
Figures: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training request of the command line.

    Attributes:
        data: The folder of recorded and written material (pop909/, esc10/, …).
        folder: The user's own sounds, for a recipe that accepts them; None if not given.
    """

    data: Path
    material: Path
    seed: int
    device: torch.device
    say: Callable[[str], None]
    further: bool = False
    folder: Path | None = None


class Recipe(ABC):
    """The training of one model; registered by the hook `antiphon_trainings`.

    **A batch is a function of `job.seed` and the step, and of nothing else**: so an interrupted training resumes bit
    for bit. Several threads may call `batch` at once.

    Attributes:
        name: NAME in `antiphon train NAME`.
        module: The network's class, for the default `network`.
        steps: Steps of a whole training: at most two hours on two cores.
        shares: The name of the recipe whose material this one uses; "" for its own.
        takes: Content of the folder named on the command line; "" if none can be named.
        trained_on: Training material, for the default `said`.
        keeps_best: Whether the weights of the best validation are stored, by its first figure; else the last ones.
    """

    name: ClassVar[str]
    weights: ClassVar[str]
    plugin: ClassVar[str]
    module: ClassVar[type[torch.nn.Module]]
    steps: ClassVar[int]
    rate: ClassVar[float] = 2e-3
    shares: ClassVar[str] = ""
    takes: ClassVar[str] = ""
    trained_on: ClassVar[str] = ""
    half: ClassVar[bool] = False
    keeps_best: ClassVar[bool] = False

    @abstractmethod
    def prepare(self, job: TrainingJob) -> None:
        """Generates missing material from `job.seed`, and reads it. After an interruption it continues."""

    def network(self) -> torch.nn.Module:
        """Returns the network on the CPU, its initial weights drawn from torch's generator, which is seeded."""
        return self.module()

    def network_of(self, folder: Path) -> torch.nn.Module:
        """Network with the weights of a folder of models, stored under the recipe's `weights`.

        Called before `prepare` as well, so that weights that do not fit are refused before material is made.

        Raises `ModelError`: the weights are missing, or do not fit.
        """
        network = self.network()
        fill_network(network, type(network).__name__, self.weights, folder)
        return network

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Returns the batch of a step, counted from 0, on `job.device`."""

    @abstractmethod
    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        """Returns the loss of a batch."""

    @abstractmethod
    def validate(self, network: torch.nn.Module) -> Figures:
        """Returns figures on material used neither for training nor for testing; for the first, higher is better."""

    def provenance(self) -> Mapping[str, Any]:
        """Manifest entries: licence, trained_on."""
        return {"licence": "MIT", "trained_on": self.trained_on}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        """Returns the arrays to store, by name."""
        found = {name: np.ascontiguousarray(t.detach().cpu().numpy()) for name, t in network.state_dict().items()}
        return {name: array.astype(np.float16) for name, array in found.items()} if self.half else found
