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


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training.

    data: the folder in which what was given lies (pop909/, esc10/, …).  material: the recipe's own folder, for what
    it makes, which only it writes to.  say: takes one line for the terminal.  further: it begins with weights
    that are trained already.
    """

    data: Path
    material: Path
    seed: int
    device: torch.device
    say: Callable[[str], None]
    further: bool = False


class Recipe(ABC):
    """How the weights of one model are made.

    name: of `antiphon train NAME`.  weights: their name in the manifest.  plugin: whose they are.  steps: of a whole
    training, two hours on two cores at most.  rate: the learning rate at its highest.  shares: the name of the
    recipe whose material this one uses; its own where "".

    **A batch is a function of `job.seed` and the step, and of nothing else**: so a training that was stopped goes on
    as if it had not been. Threads may ask for several at once.
    """

    name: ClassVar[str]
    weights: ClassVar[str]
    plugin: ClassVar[str]
    steps: ClassVar[int]
    rate: ClassVar[float] = 2e-3
    shares: ClassVar[str] = ""

    @abstractmethod
    def prepare(self, job: TrainingJob) -> None:
        """Makes the material that is not there yet, by `job.seed`, and reads it. Stopped halfway, it goes on."""

    @abstractmethod
    def network(self) -> torch.nn.Module:
        """The network with its first weights, drawn from torch's generator, which is seeded; on the CPU."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """What step `step` learns from, on `job.device`."""

    @abstractmethod
    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        """A scalar to be made small, and what is to be logged beside it."""

    @abstractmethod
    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        """Figures on material that neither training nor test uses; of the first, more is better."""

    @abstractmethod
    def said(self) -> Mapping[str, Any]:
        """Entries of the manifest: licence, trained_on, card."""

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        """What is kept of the network, by name."""
        return {name: np.ascontiguousarray(t.detach().cpu().numpy()) for name, t in network.state_dict().items()}
