"""Weight arrays of a trained network by name, and the lookup of a layer's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.runtime.model_files import ModelError

Weights: TypeAlias = Mapping[str, Samples]
"""Weight arrays by name: float32, in torch's shapes."""


def find_array(weights: Weights, name: str, *shape: int) -> Samples:
    """Looks up one array of a network's weights.

    Raises ModelError: it is missing, has another shape, or is not finite.
    """
    if name not in weights:
        raise ModelError(f"{name} is missing in the weights; train the model again")
    found = weights[name]
    if found.shape != shape:
        raise ModelError(f"{name} is {list(found.shape)} and should be {list(shape)}; train the model again")
    if not np.isfinite(found).all():
        raise ModelError(f"{name} holds NaN or infinity; train the model again")
    return found
