"""`antiphon train popularity`: a network that finds a song's attributes, and what an audience likes of them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from antiphon_classify.popularity import FURTHEST, WEIGHTS, with_squares
from antiphon_classify.statistics import SIZE
from antiphon_models.classify.popularity import taste
from antiphon_models.classify.popularity.songs import ATTRIBUTES, MadeSongs, songs
from antiphon_models.classify.popularity.taste import PARTS
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

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


class PartedNetwork(nn.Module):
    """A network for all artists, and for each part of them one that is fitted without them.

    The errors of the latter on the artists that they lack stand for those of the first on any further artists.
    """

    def __init__(self) -> None:
        super().__init__()
        self.whole = AttributeNetwork()
        self.without = nn.ModuleList(AttributeNetwork() for _ in range(PARTS))

    def standardise(self, rows: NDArray[np.float32]) -> None:
        """Sets the means and deviations of statistics, of `rows` `[n, SIZE]`."""
        for each in self.networks:
            each.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
            each.deviation.copy_(torch.from_numpy(rows.std(axis=0) + 1e-3))

    @property
    def networks(self) -> list[AttributeNetwork]:
        """The one for all artists first."""
        found = [self.whole, *self.without]
        assert all(isinstance(each, AttributeNetwork) for each in found)
        return found


class PopularityRecipe(Recipe):
    """Attributes are learned from the songs, what they are worth from the votes alone; artists of one split are in no
    other. Figures and interval are of artists that were left out, a part of them in turn.
    """

    name = "popularity"
    weights = WEIGHTS
    plugin = "classify"
    steps = 2000
    trained_on = "songs composed by rules in FluidR3 and TimGM6mb, and the votes of a computed audience"
    artists: ClassVar[int | None] = None

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        self.fit, _ = songs(job.material, "fit", job.seed, job.say, self.artists)
        self._parts = taste.parts(self.fit.artists)

    def network(self) -> torch.nn.Module:
        made = PartedNetwork()
        made.standardise(self.fit.segments.reshape(-1, SIZE))
        return made

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.job.seed, step))
        row = rng.integers(len(self.fit.segments), size=SIZE_OF_BATCH)
        part = rng.integers(self.fit.segments.shape[1], size=SIZE_OF_BATCH)
        arrays = self.fit.segments[row, part], self.fit.attributes[row], self._parts[row]
        return tuple(torch.from_numpy(array).to(self.job.device) for array in arrays)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        assert isinstance(network, PartedNetwork)
        segments, attributes, parts = batch
        total = torch.zeros((), device=segments.device)
        for part, each in enumerate(network.networks, start=-1):
            error = functional.mse_loss(each(segments), attributes, reduction="none").sum(dim=1)
            total = total + (error * (parts != part)).mean()
            total = total + DECAY * ((each.hidden.weight**2).sum() + 10.0 * (each.direct.weight**2).sum())
        return total, {}

    def validate(self, network: torch.nn.Module) -> Figures:
        """1 less the relative square error of popularity, the share of the attainable, and half of the interval."""
        found, votes = self._left_out(network), self.fit.votes
        reached = r2(found, votes.popularity)
        return {"r2": reached, "share": reached / r2(votes.best, votes.popularity), "width": self._width(found)}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, PartedNetwork)
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in network.whole.state_dict().items()}
        rows = with_squares(_attributes(network.whole, self.fit))
        ridge = taste.chosen((rows, self.fit.votes.popularity, self.fit.artists))
        width = self._width(self._left_out(network))
        further = {"centre": ridge.centre, "scale": ridge.scale, "taste": ridge.weights, "width": np.array([width])}
        return {**arrays, **{name: array.astype(np.float32) for name, array in further.items()}}

    def _left_out(self, network: torch.nn.Module) -> NDArray[np.float64]:
        """What is foreseen of each song by networks and tastes that its artist had no part in."""
        assert isinstance(network, PartedNetwork)
        rows = [with_squares(_attributes(each, self.fit)) for each in network.networks[1:]]
        return taste.left_out(rows, self.fit.votes.popularity, self.fit.artists)

    def _width(self, found: NDArray[np.float64]) -> float:
        return taste.half_width(found, self.fit.votes.popularity, self.fit.artists)


def _attributes(network: AttributeNetwork, made: MadeSongs) -> NDArray[np.float32]:
    """float32 `[songs, ATTRIBUTES]`: the mean over the segments of each, as what plays has it."""
    apart = made.apart
    with torch.inference_mode():
        found = network(torch.from_numpy(np.ascontiguousarray(apart.reshape(-1, SIZE)))).numpy()
    return np.asarray(found.reshape(*apart.shape[:2], -1).mean(axis=1), np.float32)


def r2(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """1 less the square error as a share of the variance."""
    return float(1.0 - ((predicted - truth) ** 2).mean() / truth.var())
