"""What the networks that give a gain for each unit of a spectrum have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch

from antiphon.api.networks import State, StreamingModel
from antiphon_denoise.learned.spec import HOP, UNITS
from antiphon_models.denoise.network.features import FeatureExtractor
from antiphon_models.denoise.network.recorded import Recorded


class GainNetwork(StreamingModel):
    """From log powers `[slots, 2, UNITS]`, of input and learned noise, to gains `[slots, 1, UNITS]`, 0 to 1.

    Attributes:
        follow: Computes the features of a hop; its state is the first of the network's.
    """

    hop: ClassVar[int] = UNITS
    answer: ClassVar[int | None] = UNITS
    frames: ClassVar[int | None] = HOP
    inputs: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.follow = FeatureExtractor()
        self._recorded = Recorded(self, self._hop)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        return self._recorded(x, state)

    @abstractmethod
    def _hop(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """As `step`, without a recording."""
