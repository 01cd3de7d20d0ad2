"""Converts crema's chord network, from its wheel: `python -m antiphon_models.listen.crema crema-0.2.0-….whl`.

A folder given after the wheel receives weights and manifest, by default the one that ships.

It reads the arrays of `model.h5`; the wheel's pickles are not loaded. Batch normalisation is folded into the following
layers, chord classes are put in the order of `harmony.LABELS`, and the class X, other chords, is left out.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_listen.harmony import LABELS, MODEL
from antiphon_models.material.wheels import make_and_write_weights

FILE = "crema/models/chord/model.h5"
_EPSILON = 1e-3
"""Epsilon of the batch normalisations."""
DETAILS = {
    "plugin": "listen",
    "licence": "BSD-2-Clause",
    "origin": "crema 0.2.0 by Brian McFee (PyPI), converted by antiphon_models.listen.crema",
    "trained_on": "recordings with annotated chords, by its author; the rights in them are not stated",
}
"""Entries of the weights' manifest."""


def convert(wheel: Path) -> dict[str, NDArray[Any]]:
    """Converts the wheel of crema 0.2.0 to the arrays of `CremaNetwork`, with matrices in half precision."""
    import h5py

    with zipfile.ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(FILE))) as file:
        found: dict[str, F64] = {}

        def take(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found["/".join(name.removesuffix(":0").rsplit("/", 2)[-2:])] = np.asarray(item, np.float64)

        file["model_weights"].visititems(take)
    arrays = dict(zip(("input.scale", "input.shift"), _normalisation(found, 1), strict=True))
    arrays |= {"front.kernel": found["conv2d_1/kernel"][..., 0], "front.bias": found["conv2d_1/bias"]}
    arrays |= _linear("bins", found["conv2d_2/kernel"][0, :, 0], found["conv2d_2/bias"], _normalisation(found, 2))
    for number in (1, 2):
        for way in ("forward", "backward"):
            layer, before = f"{way}_gru_{number}", _normalisation(found, number + 2)
            arrays |= _linear(f"{way}{number}", found[f"{layer}/kernel"], found[f"{layer}/bias"], before)
            arrays[f"{way}{number}.recurrent"] = found[f"{layer}/recurrent_kernel"]
    for name in ("pitch", "root", "bass"):
        arrays |= _linear(name, found[f"chord_{name}/kernel"], found[f"chord_{name}/bias"], (np.ones(1), np.zeros(1)))
    order = [sorted([*LABELS, "X"]).index(label) for label in LABELS]
    tag = found["chord_tag/kernel"][:, order], found["chord_tag/bias"][order]
    arrays |= _linear("tag", *tag, _normalisation(found, 5))
    return {name: array.astype(np.float16 if array.ndim > 1 else np.float32) for name, array in arrays.items()}


def _normalisation(found: dict[str, F64], number: int) -> tuple[F64, F64]:
    """Scale and shift of a batch normalisation."""
    mean, variance, gamma, beta = (
        found[f"batch_normalization_{number}/{name}"] for name in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    scale = gamma / np.sqrt(variance + _EPSILON)
    return scale, beta - mean * scale


def _linear(name: str, kernel: F64, bias: F64, before: tuple[F64, F64]) -> dict[str, F64]:
    """Layer fused with the preceding normalisation."""
    scale, shift = (np.broadcast_to(part, kernel.shape[:1]) for part in before)
    return {f"{name}.kernel": kernel * scale[:, None], f"{name}.bias": bias + shift @ kernel}


if __name__ == "__main__":
    make_and_write_weights(MODEL, convert, DETAILS, __doc__)
