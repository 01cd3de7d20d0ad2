"""Reference model: its declaration, and its network in numpy (in torch: `antiphon_models.model.network`)."""

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import Gru, Linear, ModelInfo, Weights

LEVELS, HIDDEN = 24, 64


class ArrayReference:
    """The network of one stream: `[1, hop]` samples pass bit for bit while the network's result is finite."""

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers. Raises ModelError: the weights do not fit."""
        self._cell = Gru.of(weights, "cell", LEVELS, HIDDEN, layer="")
        self._readout = Linear.of(weights, "readout", 1, HIDDEN)
        self._levels: Samples = np.zeros(LEVELS, np.float32)
        self._power: Samples = np.zeros(0, np.float32)

    def start(self) -> None:
        self._cell.start()

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop, float32 `[1, hop]`, into `y`."""
        if self._power.size != x.size:  # in the first hop, before it plays
            self._power = np.zeros(x.size, np.float32)
        np.multiply(x[0], x[0], out=self._power)
        np.mean(self._power.reshape(LEVELS, -1), axis=1, out=self._levels)
        np.log1p(self._levels, out=self._levels)
        said = float(self._readout(self._cell(self._levels))[0])
        if np.isfinite(said):
            y[...] = x
        else:
            y.fill(said)


REFERENCE = ModelInfo(
    name="reference",
    network="antiphon_models.model.network:Reference",
    array_network="antiphon_model.spec:ArrayReference",
    weights="reference",
    plugin="model",
)


def reference() -> ModelInfo:
    """Factory of the model `reference`."""
    return REFERENCE
