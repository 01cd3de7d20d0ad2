"""`antiphon train denoise-mask-file`: the file mask, fine-tuned from the shipped mask on more kinds of noise.

Every mixture weighs a loss as the end of the mask's own training does. What is stored lies halfway between the weights
that it began with and those that it has reached, which is better on unseen sounds than either: Wortsman et al., Robust
fine-tuning of zero-shot models, 2022.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api.backends.networks import fill_network
from antiphon_denoise.learned import MASK
from antiphon_denoise.learned.file_mask import MODEL
from antiphon_models.denoise.network.mask import FileMaskNetwork, MaskNetwork
from antiphon_models.denoise.training.plan import Component, MixturePlan, MixturePlanner
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.learning.recipe import Batch, Figures


class FileMixturePlanner(MixturePlanner):
    """The mask's mixtures with more noise that is reversed, resampled or summed with other noise.

    What is known of the noise of a file is known from its start.
    """

    def item(self, rng: np.random.Generator) -> MixturePlan:
        made = super().item(rng)
        made.noise = [self._changed(rng, part) for part in made.noise]
        if made.noise and rng.random() < 0.15:
            gain = float(10 ** (rng.uniform(-14, 0) / 20))
            made.noise.append(self._changed(rng, self._looped(rng, "noise", 1.0, gain)))
        if made.known[0] > 0.0:
            made.known = (0.0, made.known[1])
        return made

    def _changed(self, rng: np.random.Generator, part: Component) -> Component:
        way = -1.0 if rng.random() < 0.15 else 1.0
        speed = way * part.speed * float(2 ** rng.uniform(-0.3, 0.3))
        return Component(part.start, part.size, part.phase, part.period, speed, part.gain)


class FileMaskRecipe(MaskRecipe):
    """Recipe of the file mask: mixtures of five seconds, each processed as a whole."""

    name = "denoise-mask-file"
    weights = MODEL
    module: ClassVar[type[torch.nn.Module]] = FileMaskNetwork
    planner: ClassVar[type[MixturePlanner]] = FileMixturePlanner
    steps = 1000
    rate = 1e-3
    shares = "denoise"
    half = True
    kept: ClassVar[float] = 0.5
    """Weight of the initial weights in the stored average."""

    def network(self) -> torch.nn.Module:
        """The shipped mask, initialised in both directions."""
        mask, made = MaskNetwork(), FileMaskNetwork()
        fill_network(mask, "MaskNetwork", MASK.weights)
        made.begin(mask)
        return made

    def batch(self, step: int) -> Batch:
        *parts, way = super().batch(step)
        return *parts, torch.ones_like(way)

    def validate(self, network: torch.nn.Module) -> Figures:
        return super().validate(self._between(network).to(self._job.device).eval())

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        return super().arrays(self._between(network))

    def _between(self, network: torch.nn.Module) -> torch.nn.Module:
        made, reached = self.network(), network.state_dict()
        mean = {name: torch.lerp(reached[name].cpu(), own, self.kept) for name, own in made.state_dict().items()}
        made.load_state_dict(mean)
        return made
