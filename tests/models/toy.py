"""A recipe that learns a straight line, in a moment."""

import numpy as np
import torch

from antiphon_models.learning.recipe import Batch, Recipe, TrainingJob


class Line(Recipe):
    name, weights, plugin, steps, rate = "line", "line", "toy", 300, 0.05
    bad: tuple[int, ...] = ()
    """Steps whose loss is not finite."""

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        self.slope = float(np.random.default_rng(job.seed).uniform(1.0, 2.0))
        (job.material / "slope.txt").write_text(str(self.slope))

    def network(self) -> torch.nn.Module:
        return torch.nn.Linear(1, 1)

    def batch(self, step: int) -> Batch:
        x = torch.from_numpy(np.random.default_rng((self.job.seed, step)).standard_normal((32, 1)).astype(np.float32))
        y = self.slope * x + 0.5
        return x, y * float("nan") if step in self.bad else y

    def loss(self, network, batch):
        x, y = batch
        error = (network(x) - y).square().mean()
        return error, {"root": error.detach().sqrt()}

    def validate(self, network):
        x = torch.linspace(-1.0, 1.0, 21)[:, None]
        error = float((network(x) - self.slope * x - 0.5).square().mean())
        return {"score": -error}

    def provenance(self):
        return {"licence": "MIT", "trained_on": "a line"}
