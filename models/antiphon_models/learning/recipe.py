"""What a plugin's author writes to have a model trained: material, network, batches, loss.

    class Mask(Recipe):
        name, weights, plugin, steps = "denoise", "denoise-mask", "denoise", 20000

        def prepare(self, job): ...
        def network(self): ...
        def batch(self, step): ...
        def loss(self, network, batch): ...
        def validate(self, network): ...

`antiphon_trainings` registers it. It is imported by `antiphon train` only, so it may import torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

Batch: TypeAlias = tuple[torch.Tensor, ...]
"""What one training step learns from, as tensors."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training.

    Attributes:
        data: The folder of data sets (pop909/, esc10/, …).
        material: The recipe's own folder for what it makes; nobody else writes there.
        seed: Of what is drawn at random.
        device: Where the network is trained.
        say: Takes one line for the person who asked.
        further: The training begins with weights that are trained already.
    """

    data: Path
    material: Path
    seed: int
    device: torch.device
    say: Callable[[str], None]
    further: bool = False


class Recipe(ABC):
    """How the weights of one model are made: what a hook `antiphon_trainings` registers.

    A batch is a function of `job.seed` and the step, and of nothing else, so that a training that was stopped continues
    as if it had not been. Several threads may ask for batches at once.

    Attributes:
        name: Of `antiphon train NAME`.
        weights: Their name in the manifest.
        plugin: The plugin they belong to.
        steps: Of a whole training, two hours on two cores at most.
        rate: The highest learning rate.
        shares: The name of the recipe whose material this one uses; "" for its own.
    """

    name: ClassVar[str]
    weights: ClassVar[str]
    plugin: ClassVar[str]
    steps: ClassVar[int]
    rate: ClassVar[float] = 2e-3
    shares: ClassVar[str] = ""

    @abstractmethod
    def prepare(self, job: TrainingJob) -> None:
        """Makes the material that is missing, by `job.seed`, and reads it. One that was stopped continues.

        Args:
            job: The training.

        Raises:
            UsageError: Data or programs are missing.
        """

    @abstractmethod
    def network(self) -> torch.nn.Module:
        """Makes the network with its first weights, drawn from torch's generator, which is seeded.

        Returns:
            The network, on the CPU.
        """

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Makes what one step learns from.

        Args:
            step: Its number.

        Returns:
            Tensors on `job.device`.
        """

    @abstractmethod
    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        """Computes what is minimised.

        Args:
            network: The network, in training.
            batch: What `batch` gave.

        Returns:
            A scalar, and figures for the log by name.
        """

    @abstractmethod
    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        """Measures the network on material that neither training nor test uses.

        Args:
            network: The network, in evaluation.

        Returns:
            Figures by name; of the first, more is better.
        """

    @abstractmethod
    def said(self) -> Mapping[str, Any]:
        """Gives what the manifest is to hold.

        Returns:
            licence, trained_on, card and such.
        """

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        """Gives what is kept of the network.

        Args:
            network: The trained network.

        Returns:
            Arrays by name.
        """
        return {name: np.ascontiguousarray(t.detach().cpu().numpy()) for name, t in network.state_dict().items()}
