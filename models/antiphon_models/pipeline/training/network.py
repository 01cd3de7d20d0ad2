"""Classifier network: its layers, and initial weights common to all frameworks.

An excerpt's bands are the channels of three convolutions over time; their mean and maximum over time go into one
layer. All frameworks begin with the same weights, which numpy draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64

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
        """Channels in, channels out and kernel length in frames, of each convolution."""
        out = [self.width << n for n in range(len(KERNELS))]
        return list(zip([self.bands, *out[:-1]], out, KERNELS, strict=True))

    @property
    def features(self) -> int:
        """Inputs of the hidden layer, `[n, features]`."""
        return 2 * (self.width << (len(KERNELS) - 1))


def initial_weights(shape: NetworkShape, seed: int) -> dict[str, F32]:
    """Initial weights, by He et al. 2015 before rectifiers, zeros for biases.

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
