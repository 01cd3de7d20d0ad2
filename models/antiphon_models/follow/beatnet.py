"""Converts BeatNet's wheel: `python -m antiphon_models.follow.beatnet BeatNet-1.1.3-….whl`.

A folder given after the wheel receives weights and manifest, by default the one that ships. The weights are read by
torch's weights-only loader, which runs no code.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_follow.sound import MODEL
from antiphon_models.material.wheels import make_and_write_weights

FILE = "BeatNet/models/model_1_weights.pt"
DETAILS = {
    "plugin": "follow",
    "licence": "CC-BY-4.0",
    "licence_file": "LICENSE.beatnet",
    "origin": "BeatNet 1.1.3 by Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan (PyPI), its first network, converted "
    "by antiphon_models.follow.beatnet, matrices as float16",
    "trained_on": "recordings with annotated beats, by its authors; the rights in them are not stated",
}
"""Entries of the weights' manifest."""


def convert(wheel: Path) -> dict[str, NDArray[Any]]:
    """Converts the wheel to the arrays of `BeatNetwork`, with matrices in half precision."""
    import torch

    with zipfile.ZipFile(wheel) as archive:
        found = torch.load(io.BytesIO(archive.read(FILE)), map_location="cpu", weights_only=True)
    arrays = {name: np.asarray(array.detach().numpy(), np.float32) for name, array in found.items()}
    arrays["conv1.weight"] = arrays["conv1.weight"][:, 0]
    for layer in (0, 1):
        arrays[f"lstm.bias{layer}"] = arrays.pop(f"lstm.bias_ih_l{layer}") + arrays.pop(f"lstm.bias_hh_l{layer}")
    return {name: array.astype(np.float16 if array.ndim > 1 else np.float32) for name, array in arrays.items()}


if __name__ == "__main__":
    make_and_write_weights(MODEL, convert, DETAILS, __doc__)
