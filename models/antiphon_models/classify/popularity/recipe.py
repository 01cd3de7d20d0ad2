"""`antiphon train popularity`: a network that finds a song's attributes, and what an audience likes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from antiphon_classify.popularity import FURTHEST, WEIGHTS, PopularityNetwork, curved
from antiphon_classify.statistics import SIZE
from antiphon_models.classify.popularity import taste
from antiphon_models.classify.popularity.songs import ATTRIBUTES, MadeSongs, songs
from antiphon_models.learning.recipe import Batch, Recipe, TrainingJob

UNITS, DROPOUT, NOISE = 192, 0.3, 0.2
"""Hidden units; the share of them and of statistics left out; deviations of noise that is added to the statistics."""
SIZE_OF_BATCH = 128
DECAY = 1e-4
"""Of the hidden layer's weights, squared and summed; ten times that of the direct ones."""


class AttributeNetwork(nn.Module):
    """Statistics of a segment to the attributes of its song."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("deviation", torch.ones(SIZE))
        self.hidden, self.attributes = nn.Linear(SIZE, UNITS), nn.Linear(UNITS, ATTRIBUTES)
        self.direct = nn.Linear(SIZE, ATTRIBUTES, bias=False)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, segments: Tensor) -> Tensor:
        """float32 `[n, ATTRIBUTES]` of `[n, SIZE]`."""
        x = ((segments - self.mean) / self.deviation).clamp(-FURTHEST, FURTHEST)
        if self.training:
            x = x + NOISE * torch.randn_like(x)
        hidden = self.dropout(torch.relu(self.hidden(self.dropout(x))))
        return torch.as_tensor(self.attributes(hidden) + self.direct(x))


class PopularityRecipe(Recipe):
    """Attributes are learned from the songs, what they are worth from the votes alone; artists of one split are in no
    other. The interval is of the artists that the network is chosen by.
    """

    name: ClassVar[str] = "popularity"
    weights: ClassVar[str] = WEIGHTS
    plugin: ClassVar[str] = "classify"
    steps: ClassVar[int] = 2000
    rate: ClassVar[float] = 2e-3
    artists: ClassVar[int | None] = None

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        self.fit, _ = songs(job.material, "fit", job.seed, job.say, self.artists)
        self.choose, _ = songs(job.material, "choose", job.seed, job.say, self.artists)

    def network(self) -> torch.nn.Module:
        made = AttributeNetwork()
        rows = self.fit.segments.reshape(-1, SIZE)
        made.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
        made.deviation.copy_(torch.from_numpy(rows.std(axis=0) + 1e-3))
        return made

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.job.seed, step))
        row = rng.integers(len(self.fit.segments), size=SIZE_OF_BATCH)
        part = rng.integers(self.fit.segments.shape[1], size=SIZE_OF_BATCH)
        device = self.job.device
        segments = torch.from_numpy(self.fit.segments[row, part]).to(device)
        return segments, torch.from_numpy(self.fit.attributes[row]).to(device)

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        assert isinstance(network, AttributeNetwork)
        segments, attributes = batch
        decay = DECAY * ((network.hidden.weight**2).sum() + 10.0 * (network.direct.weight**2).sum())
        return functional.mse_loss(network(segments), attributes) * ATTRIBUTES + decay, {}

    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        """1 less the relative square error of popularity, and the share of the attainable."""
        played = PopularityNetwork(self.arrays(network))
        found = np.array([played.popularity(segments) for segments in self.choose.apart])
        reached, most = (
            r2(found, self.choose.votes.popularity),
            r2(self.choose.votes.best, self.choose.votes.popularity),
        )
        return {"r2": reached, "share": reached / most, "width": played.width}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, AttributeNetwork)
        arrays = {
            name: tensor.detach().cpu().numpy()
            for name, tensor in network.state_dict().items()
        }  # fmt: skip
        rows = curved(_attributes(network, self.fit))
        ridge = taste.chosen((rows, self.fit.votes.popularity, self.fit.artists))
        found = ridge.predicted(curved(_attributes(network, self.choose)))
        width = taste.half_width(found, self.choose.votes.popularity, self.choose.artists)
        further = {"centre": ridge.centre, "scale": ridge.scale, "taste": ridge.weights, "width": np.array([width])}
        return {**arrays, **{name: array.astype(np.float32) for name, array in further.items()}}

    def said(self) -> Mapping[str, Any]:
        return {
            "licence": "MIT",
            "trained_on": "songs composed by rules in FluidR3 and TimGM6mb, and the votes of a computed audience",
            "card": "plugins/antiphon_classify/README.md",
        }


def _attributes(network: AttributeNetwork, made: MadeSongs) -> NDArray[np.float32]:
    """float32 `[songs, ATTRIBUTES]`: the mean over the segments of each, as what plays has it."""
    apart = made.apart
    with torch.inference_mode():
        found = network(torch.from_numpy(np.ascontiguousarray(apart.reshape(-1, SIZE)))).numpy()
    return np.asarray(found.reshape(*apart.shape[:2], -1).mean(axis=1), np.float32)


def r2(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """1 less the square error as a share of the variance."""
    return float(1.0 - ((predicted - truth) ** 2).mean() / truth.var())
