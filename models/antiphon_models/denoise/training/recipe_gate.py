"""`antiphon train denoise-gate`: the thresholds of the spectral gate, shared by the wavelet mode."""

from typing import ClassVar

from antiphon.api.backends.signal import grid
from antiphon_denoise.gate.network import MODEL
from antiphon_models.denoise.training.frames import Frames
from antiphon_models.denoise.training.gate import GateNetwork as Network
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.denoise.training.sounds import RATE


class GateRecipe(MaskRecipe):
    """The mask's material and loss, on the gate's grid. `SuppressionLimit` acts after the gate and is left out."""

    name = "denoise-gate"
    weights = MODEL
    module = Network
    steps = 3500
    hop: ClassVar[int] = grid(RATE).hop
    frames: ClassVar[int] = 375
    shares = "denoise"

    def transform(self) -> Frames:
        return Frames(grid(RATE))

    half = True  # the rules it gives differ by less than a thousandth
