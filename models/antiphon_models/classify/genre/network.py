"""The network of `genre` in torch: what `antiphon_classify.rhythm.RhythmNetwork` plays, over features."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from antiphon_classify.rhythm import LIMIT

UNITS = (368, 128)
DROPOUTS = (0.3, 0.5, 0.3)
"""Of the features and of each hidden layer."""


class TrainedRhythmNetwork(nn.Module):
    """Two hidden layers over standardised features. `mean`: `[features]`. `deviation`: `[features]`, above 0."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: NDArray[np.float32], deviation: NDArray[np.float32], labels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        sizes = (len(mean), *UNITS)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.dropouts = nn.ModuleList(nn.Dropout(share) for share in DROPOUTS)
        self.labels = nn.Linear(UNITS[-1], labels)

    def forward(self, features: Tensor) -> Tensor:
        """Logits `[n, labels]` of features `[n, features]`."""
        x = self.dropouts[0](((features - self.mean) / self.deviation).clamp(-LIMIT, LIMIT))
        for layer, dropout in zip(self.hidden, list(self.dropouts)[1:], strict=True):
            x = dropout(torch.relu(layer(x)))
        return torch.as_tensor(self.labels(x))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays of the weights as the network plays them; each normalisation is folded into its convolution."""
        found: dict[str, Tensor] = {"mean": self.mean, "deviation": self.deviation}
        named = [(f"hidden{n}", layer) for n, layer in enumerate(self.hidden)]
        for name, layer in [*named, ("labels", self.labels)]:
            assert isinstance(layer, nn.Linear)
            found[f"{name}.weight"], found[f"{name}.bias"] = layer.weight, layer.bias
        return {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in found.items()}
