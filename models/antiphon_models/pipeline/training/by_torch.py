"""Trains the classifier with PyTorch."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from antiphon.api import F32
from antiphon_classify.classifier_session import INPUT, OUTPUT
from antiphon_models.learning.loop import moments_of, set_moments
from antiphon_models.pipeline.training.trainer import (
    EPSILON,
    MOMENTS,
    OPSET,
    POOLED,
    ClassifierTrainer,
    LabeledBatches,
    NetworkShape,
    TrainerTask,
    initial_weights,
)


class ConvolutionsOverTime(nn.Module):
    """The layers of `trainer.NetworkShape`: they map excerpts in dB to logits.

    `mean`: float32 `[bands]`. `deviation`: float32 `[bands]`.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, shape: NetworkShape, mean: F32, deviation: F32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        for n, (before, after, span) in enumerate(shape.convolutions):
            self.add_module(f"conv{n}", nn.Conv1d(before, after, span, padding=span // 2))
        self.labels = nn.Linear(shape.features, shape.labels)
        self._last = len(shape.convolutions) - 1

    def forward(self, excerpts: torch.Tensor) -> torch.Tensor:
        """Logits `[n, labels]` of `[n, frames, bands]`."""
        x = ((excerpts - self.mean) / self.deviation).transpose(1, 2)
        for n in range(self._last + 1):
            x = torch.relu(getattr(self, f"conv{n}")(x))
            if n < self._last:
                x = nn.functional.max_pool1d(x, POOLED)
        return torch.as_tensor(self.labels(torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)))


def count_correct_excerpts(logits: torch.Tensor, target: torch.Tensor) -> float:
    """Number of correct excerpts; with several labels, the sum of correct label shares."""
    if target.ndim == 2:
        return float(((logits > 0) == (target > 0.5)).float().mean(dim=1).sum())
    return float((logits.argmax(dim=1) == target).sum())


class TorchTrainer(ClassifierTrainer):
    """See `ClassifierTrainer`."""

    def __init__(self, task: TrainerTask) -> None:
        torch.set_num_threads(task.threads)
        torch.manual_seed(task.seed)
        torch.use_deterministic_algorithms(True)
        self._task = task
        self._network = ConvolutionsOverTime(task.shape, task.mean, task.deviation)
        self.set_weights(initial_weights(task.shape, task.seed))
        self._loss = nn.BCEWithLogitsLoss() if task.several else nn.CrossEntropyLoss()
        self._begin()

    def _begin(self) -> None:
        self._optimizer: Any = torch.optim.Adam(self._network.parameters(), betas=MOMENTS, eps=EPSILON)

    def epoch(self, batches: LabeledBatches, rate: float) -> tuple[float, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        total = right = count = 0.0
        for mel, truth in batches:
            target = torch.from_numpy(truth)
            self._optimizer.zero_grad(set_to_none=True)
            logits = self._network(torch.from_numpy(mel))
            loss = self._loss(logits, target)
            loss.backward()
            self._optimizer.step()
            total += float(loss.detach()) * len(truth)
            right += count_correct_excerpts(logits.detach(), target)
            count += len(truth)
        return total / count, right / count

    def answers(self, excerpts: F32) -> F32:
        self._network.eval()
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(np.ascontiguousarray(excerpts)))
            found = torch.sigmoid(logits) if self._task.several else torch.softmax(logits, dim=1)
            return np.asarray(found.numpy(), np.float32)

    def weights(self) -> dict[str, F32]:
        return {name: value.detach().numpy().copy() for name, value in self._network.named_parameters()}

    def set_weights(self, weights: Mapping[str, F32]) -> None:
        with torch.no_grad():
            for name, value in self._network.named_parameters():
                value.copy_(torch.from_numpy(np.array(weights[name])))

    def moments(self) -> dict[str, F32]:
        return moments_of(self._optimizer)

    def set_moments(self, moments: Mapping[str, F32]) -> None:
        set_moments(self._optimizer, dict(moments))

    def export(self, path: Path) -> None:
        shape = self._task.shape
        whole = nn.Sequential(self._network, nn.Sigmoid() if self._task.several else nn.Softmax(dim=1)).eval()
        with warnings.catch_warnings():
            # the newer exporter needs onnxscript and writes the same graph
            warnings.simplefilter("ignore")
            torch.onnx.export(
                whole,
                (torch.zeros(2, shape.frames, shape.bands),),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            )

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}
