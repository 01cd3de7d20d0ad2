"""Base of the networks with a gain for each unit of a spectrum."""

from typing import ClassVar

from antiphon.api.backends.networks import StreamingModel
from antiphon_denoise.bands import HOP
from antiphon_denoise.learned.tables import UNITS
from antiphon_models.denoise.network.features import FeatureExtractor


class GainNetwork(StreamingModel):
    """From log powers `[slots, 2, UNITS]`, of input and learned noise, to gains `[slots, 1, UNITS]`, 0 to 1.

    `follow`: computes the features of a hop; its state is the first of the network's.
    """

    hop: ClassVar[int] = UNITS
    answer: ClassVar[int | None] = UNITS
    frames: ClassVar[int | None] = HOP
    inputs: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.follow = FeatureExtractor()
