"""Baseline by scikit-learn: logistic regression of means and deviations of cepstral coefficients."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import sklearn
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from antiphon.api import F32, F64
from antiphon_classify.classifier_session import INPUT, OUTPUT
from antiphon_models.pipeline.training.trainer import (
    OPSET,
    ClassifierTrainer,
    LabeledBatches,
    TrainerTask,
    loss_and_accuracy,
)

STEPS = 1000
"""Maximum iterations of the regression."""
EPSILON = 1e-9
"""Small value added to variances."""
IR_VERSION = 8
"""ONNX IR version of the opset; older runtimes reject newer versions."""


class SklearnTrainer(ClassifierTrainer):
    """See `ClassifierTrainer`."""

    iterative = False

    def __init__(self, task: TrainerTask) -> None:
        self._task = task
        self._cosines = _cosines(task.shape.bands, min(task.coefficients, task.shape.bands))
        self._model = LogisticRegression(max_iter=STEPS)
        features = 2 * self._cosines.shape[1]
        self._weights: dict[str, F32] = {
            "mean": np.zeros(features, np.float32),
            "deviation": np.ones(features, np.float32),
            "weight": np.zeros((features, task.shape.labels), np.float32),
            "bias": np.zeros(task.shape.labels, np.float32),
        }

    def epoch(self, batches: LabeledBatches, rate: float) -> tuple[float, float]:
        found = [(self._features(mel), truth) for mel, truth in (batches[n] for n in range(len(batches)))]
        features, truth = np.concatenate([f for f, _ in found]), np.concatenate([t for _, t in found])
        mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
        standard = (features - mean) / deviation
        with threadpool_limits(self._task.threads):
            weight, bias = self._several(standard, truth) if self._task.several else self._one(standard, truth)
        learnt = {"mean": mean, "deviation": deviation, "weight": weight.T, "bias": bias}
        self._weights = {name: np.ascontiguousarray(value, np.float32) for name, value in learnt.items()}
        with threadpool_limits(self._task.threads):
            return loss_and_accuracy(self._answers(standard.astype(np.float32)), truth)

    def _one(self, standard: F32, truth: NDArray[np.int64]) -> tuple[F64, F64]:
        self._model.fit(standard, truth)
        weight, bias = self._model.coef_, self._model.intercept_
        if len(weight) == 1:  # of two labels it has one, which is the second's
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return weight, bias

    def _several(self, standard: F32, truth: F32) -> tuple[F64, F64]:
        """Fits a regression per label; a constant label gets its share as probability."""
        share = (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
        weight, bias = np.zeros((truth.shape[1], standard.shape[1])), np.log(share / (1 - share))
        for label, marks in enumerate(truth.T):
            if 0 < marks.sum() < len(marks):
                model = LogisticRegression(max_iter=STEPS).fit(standard, marks > 0.5)
                weight[label], bias[label] = model.coef_[0], model.intercept_[0]
        return weight, bias

    def answers(self, excerpts: F32) -> F32:
        return self._answers((self._features(excerpts) - self._weights["mean"]) / self._weights["deviation"])

    def _answers(self, standard: F32) -> F32:
        logits = standard @ self._weights["weight"] + self._weights["bias"]
        return np.asarray(expit(logits) if self._task.several else softmax(logits, axis=1), np.float32)

    def _features(self, excerpts: F32) -> F32:
        cepstrum = ((excerpts - self._task.mean) / self._task.deviation) @ self._cosines
        deviation = np.sqrt(cepstrum.var(axis=1) + EPSILON)
        return np.concatenate([cepstrum.mean(axis=1), deviation], axis=1).astype(np.float32)

    def weights(self) -> dict[str, F32]:
        return {name: value.copy() for name, value in self._weights.items()}

    def set_weights(self, weights: Mapping[str, F32]) -> None:
        self._weights = {name: np.array(weights[name]) for name in self._weights}

    def moments(self) -> dict[str, F32]:
        return {}

    def set_moments(self, moments: Mapping[str, F32]) -> None:
        pass

    def export(self, path: Path) -> None:
        shape, arrays = self._task.shape, self._weights
        constants = {
            "band_mean": self._task.mean,
            "band_deviation": self._task.deviation,
            "cosines": self._cosines,
            "still": np.float32(EPSILON),
            **{f"learnt_{name}": value for name, value in arrays.items()},
        }
        nodes = [
            helper.make_node("Sub", [INPUT, "band_mean"], ["centred"]),
            helper.make_node("Div", ["centred", "band_deviation"], ["standard"]),
            helper.make_node("MatMul", ["standard", "cosines"], ["cepstrum"]),
            helper.make_node("ReduceMean", ["cepstrum"], ["mean_kept"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["cepstrum", "mean_kept"], ["around"]),
            helper.make_node("Mul", ["around", "around"], ["squares"]),
            helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[1], keepdims=0),
            helper.make_node("Add", ["variance", "still"], ["variance_above"]),
            helper.make_node("Sqrt", ["variance_above"], ["deviation"]),
            helper.make_node("ReduceMean", ["cepstrum"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Concat", ["mean", "deviation"], ["features"], axis=1),
            helper.make_node("Sub", ["features", "learnt_mean"], ["features_centred"]),
            helper.make_node("Div", ["features_centred", "learnt_deviation"], ["features_standard"]),
            helper.make_node("Gemm", ["features_standard", "learnt_weight", "learnt_bias"], ["scores"]),
            helper.make_node("Sigmoid", ["scores"], [OUTPUT])
            if self._task.several
            else helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1),
        ]
        graph = helper.make_graph(
            nodes,
            "classifier",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", shape.frames, shape.bands])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", shape.labels])],
            [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())

    def versions(self) -> dict[str, str]:
        return {"scikit-learn": sklearn.__version__}


def _cosines(bands: int, count: int) -> F32:
    """The orthonormal cosine transform (DCT-II) of bands: float32 `[bands, count]`."""
    rows = np.cos(np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(count))
    rows *= np.sqrt(np.where(np.arange(count) == 0, 1, 2) / bands)
    return np.asarray(rows, np.float32)
