"""Trains the classifier with fastai: PyTorch's network and optimizer, and fastai's Learner."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import fastai
import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper

from antiphon_models.pipeline.training.by_torch import TorchTrainer, count_correct_excerpts
from antiphon_models.pipeline.training.trainer import EPSILON, MOMENTS, LabeledBatches


class FastaiTrainer(TorchTrainer):
    """See `ClassifierTrainer`."""

    def _begin(self) -> None:
        self._figures = _Figures()
        self._learner: Any = Learner(
            DataLoaders(_Batches([]), _Batches([]), device=torch.device("cpu")),
            self._network,
            loss_func=self._loss,
            opt_func=partial(OptimWrapper, opt=torch.optim.Adam, betas=MOMENTS, eps=EPSILON),
            cbs=[self._figures],
            train_bn=False,
        )
        # it would print a table of its own
        self._learner.remove_cbs([cb for cb in self._learner.cbs if isinstance(cb, Recorder)])
        self._learner.create_opt()
        self._optimizer = self._learner.opt.opt

    def epoch(self, batches: LabeledBatches, rate: float) -> tuple[float, float]:
        self._learner.dls.loaders[0] = _Batches(batches)
        self._learner.fit(1, lr=rate)
        return self._figures.means()

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "fastai": fastai.__version__}


class _Batches:
    """Batches in fastai's form."""

    def __init__(self, batches: LabeledBatches) -> None:
        self.dataset = self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((torch.from_numpy(mel), torch.from_numpy(truth)) for mel, truth in self._batches)

    def to(self, device: torch.device) -> _Batches:
        return self


class _Figures(Callback):
    """Computes loss and accuracy of an epoch; validation is the pipeline's, the same for all frameworks."""

    def before_epoch(self) -> None:
        self.total = self.right = self.count = 0.0

    def after_loss(self) -> None:
        size = len(self.yb[0])
        self.total += float(self.loss_grad.detach()) * size
        self.right += count_correct_excerpts(self.pred.detach(), self.yb[0])
        self.count += size

    def before_validate(self) -> None:
        raise CancelValidException()

    def means(self) -> tuple[float, float]:
        return self.total / self.count, self.right / self.count
