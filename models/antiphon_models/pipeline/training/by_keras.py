"""Trains the classifier with Keras 3 on TensorFlow."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32

# before Keras is imported, which reads them then
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow

from antiphon_classify.classifier_session import INPUT, OUTPUT
from antiphon_models.pipeline.training.trainer import (
    EPSILON,
    MOMENTS,
    OPSET,
    POOLED,
    ClassifierTrainer,
    LabeledBatches,
    TrainerTask,
    initial_weights,
)


class KerasTrainer(ClassifierTrainer):
    """See `ClassifierTrainer`."""

    def __init__(self, task: TrainerTask) -> None:
        keras.utils.set_random_seed(task.seed)
        tensorflow.config.threading.set_intra_op_parallelism_threads(task.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.experimental.enable_op_determinism()
        shape, layers = task.shape, keras.layers
        excerpts = keras.Input((shape.frames, shape.bands), name=INPUT)
        scale = (1.0 / task.deviation).tolist()
        # lists, which become constants of the graph; arrays of Keras's Normalization become inputs of the exported one
        x = layers.Rescaling(scale, offset=(-task.mean / task.deviation).tolist())(excerpts)
        self._layers: dict[str, Any] = {}
        for n, (_, after, span) in enumerate(shape.convolutions):
            self._layers[f"conv{n}"] = layers.Conv1D(after, span, padding="same", activation="relu", name=f"conv{n}")
            x = self._layers[f"conv{n}"](x)
            if n < len(shape.convolutions) - 1:
                x = layers.MaxPooling1D(POOLED)(x)
        self._layers["labels"] = layers.Dense(shape.labels, name="labels")
        both = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
        logits = self._layers["labels"](both)
        self._network: Any = keras.Model(excerpts, logits)
        self._whole: Any = keras.Model(excerpts, layers.Softmax(name=OUTPUT)(logits))
        self.set_weights(initial_weights(shape, task.seed))
        self._optimizer: Any = keras.optimizers.Adam(beta_1=MOMENTS[0], beta_2=MOMENTS[1], epsilon=EPSILON)
        self._network.compile(
            self._optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        self._optimizer.build(self._network.trainable_variables)

    def epoch(self, batches: LabeledBatches, rate: float) -> tuple[float, float]:
        self._optimizer.learning_rate.assign(rate)
        history = self._network.fit(_dataset(batches), epochs=1, shuffle=False, verbose=0).history
        return float(history["loss"][-1]), float(history["accuracy"][-1])

    def answers(self, excerpts: F32) -> F32:
        return np.asarray(self._whole.predict_on_batch(excerpts), np.float32)

    def weights(self) -> dict[str, F32]:
        found = {}
        for name, layer in self._layers.items():
            weight, bias = layer.get_weights()
            # PyTorch's order: what comes out first
            found[f"{name}.weight"], found[f"{name}.bias"] = np.ascontiguousarray(weight.T), bias
        return found

    def set_weights(self, weights: Mapping[str, F32]) -> None:
        for name, layer in self._layers.items():
            layer.set_weights([weights[f"{name}.weight"].T, weights[f"{name}.bias"]])

    def moments(self) -> dict[str, F32]:
        return {str(n): np.array(variable) for n, variable in enumerate(self._optimizer.variables)}

    def set_moments(self, moments: Mapping[str, F32]) -> None:
        for n, variable in enumerate(self._optimizer.variables):
            variable.assign(moments[str(n)])

    def export(self, path: Path) -> None:
        self._whole.export(str(path), format="onnx", verbose=False, opset_version=OPSET)

    def versions(self) -> dict[str, str]:
        return {"keras": keras.__version__, "tensorflow": tensorflow.__version__}


def _dataset(batches: LabeledBatches) -> Any:
    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, number: int) -> tuple[F32, NDArray[np.int64]]:
            return batches[number]

    return Batches()
