"""The classifiers' network in torch, for training; `antiphon_classify.network` runs it in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CHANNELS = (16, 32, 48, 64)
"""Of the convolutions; 111,000 weights with 16 labels, .45 MB."""
UNITS = 128
DROPOUT = 0.3
BANDS = 64


class TrainedClassifier(nn.Module):
    """Convolutions with batch normalisation, their mean and maximum over time, a hidden layer, labels.

    `channels`: channels of the convolutions, each followed by a maximum of 2 by 2.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, labels: int, channels: Sequence[int] = CHANNELS, units: int = UNITS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(BANDS))
        self.register_buffer("deviation", torch.ones(BANDS))
        before = (1, *channels[:-1])
        pairs = list(zip(before, channels, strict=True))
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in pairs)
        features = 2 * channels[-1] * (BANDS >> len(channels))
        self.hidden = nn.Linear(features, units)
        self.labels = nn.Linear(units, labels)
        self.dropout = nn.Dropout(DROPOUT)

    def standardise(self, excerpts: NDArray[np.float32]) -> None:
        """Sets mean and deviation of each band from excerpts without their level, `[n, frames, bands]`."""
        flat = excerpts.reshape(-1, BANDS)
        self.mean.copy_(torch.from_numpy(flat.mean(axis=0)))
        self.deviation.copy_(torch.from_numpy(flat.std(axis=0) + 1e-3))

    @torch.no_grad()
    def begin_with(self, arrays: Mapping[str, NDArray[Any]], excerpts: NDArray[np.float32]) -> None:
        """Takes over the weights of a network that is as wide or narrower (Chen et al. 2016, "Net2Net").

        It gives then what the other one gives: what it has besides stays as it is, and leads only to more of that kind.

        `excerpts`: `[n, frames, bands]` without their level, by which the normalisations are set.
        """
        given = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        self.mean.copy_(given["mean"])
        self.deviation.copy_(given["deviation"])
        x = ((torch.from_numpy(excerpts) - self.mean) / self.deviation)[:, None]
        for n, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            size = _place(convolution.weight, given[f"conv{n}.weight"])
            x = convolution(x)
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            norm.running_mean, norm.running_var = mean, variance
            norm.weight[:size] = torch.sqrt(variance[:size] + norm.eps)
            norm.bias[:size] = mean[:size] + given[f"conv{n}.bias"]
            level = nn.functional.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)
            x = nn.functional.max_pool2d(torch.relu(level), 2)
        # [units, mean and maximum, channels, bands]
        rows = given["hidden.weight"]
        before, after = (weight.view(len(weight), 2, -1, x.shape[3]) for weight in (rows, self.hidden.weight))
        size = _place(after, before)
        self.hidden.bias[:size] = given["hidden.bias"]
        _place(self.labels.weight, given["labels.weight"])
        self.labels.bias.copy_(given["labels.bias"])

    def features(self, excerpts: Tensor) -> Tensor:
        """Inputs of the hidden layer, `[n, features]`, of float32 `[n, frames, bands]` without their level."""
        x = ((excerpts - self.mean) / self.deviation)[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nn.functional.max_pool2d(torch.relu(norm(convolution(x))), 2)
        flat = x.permute(0, 2, 1, 3).flatten(2)
        return torch.cat([flat.mean(dim=1), flat.amax(dim=1)], dim=1)

    def forward(self, excerpts: Tensor) -> Tensor:
        """Logits `[n, labels]` of excerpts as `features` takes them."""
        features = self.features(excerpts)
        return torch.as_tensor(self.labels(self.dropout(torch.relu(self.hidden(self.dropout(features))))))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays of the weights as the network plays them; each normalisation is folded into its convolution."""
        found: dict[str, Tensor] = {"mean": self.mean, "deviation": self.deviation}
        for n, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            found[f"conv{n}.weight"] = convolution.weight * scale[:, None, None, None]
            found[f"conv{n}.bias"] = norm.bias - norm.running_mean * scale
        for name, layer in (("hidden", self.hidden), ("labels", self.labels)):
            found[f"{name}.weight"], found[f"{name}.bias"] = layer.weight, layer.bias
        return {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in found.items()}


def _place(weight: Tensor, narrower: Tensor) -> int:
    """Copies a layer's weights `[out, …]` to the first of a wider one's, 0 for further inputs; returns `out`."""
    size = len(narrower)
    weight[:size] = 0.0
    weight[tuple(slice(length) for length in narrower.shape)] = narrower
    return size
