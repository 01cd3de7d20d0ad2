"""Converts Basic Pitch's wheel: `python -m antiphon_models.hum.basic_pitch basic_pitch-0.4.0-….whl`.

A folder given after the wheel receives weights and manifest, by default the one that ships. Batch normalisation is
folded into the arrays of its ONNX file; the kernels of its spectrum are computed.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import OfflineChords, StreamedChords, check_onnx
from antiphon_models.material.wheels import make_and_write_weights

FILE = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
LAYERS = {
    (32, 8, 5, 5): "attack",
    (8, 8, 3, 39): "body",
    (1, 8, 5, 5): "contour",
    (32, 1, 7, 7): "wide",
    (1, 32, 7, 3): "note",
    (1, 33, 3, 3): "onset",
    (1, 1, 1, OfflineChords.size): "halving",
}
"""Names of the convolutions by the shape of their weights."""
DETAILS = {
    "plugin": "hum",
    "licence": "Apache-2.0",
    "licence_file": "LICENSE.basic-pitch",
    "origin": "basic-pitch 0.4.0 by Spotify (PyPI), converted by antiphon_models.hum.basic_pitch",
    "trained_on": "GuitarSet, iKala, MAESTRO, MedleyDB and Slakh, by its authors; rights in them are not stated",
}
"""Entries of the weights' manifest."""


def convert(wheel: Path) -> dict[str, NDArray[Any]]:
    """Converts the wheel of basic-pitch 0.4.0 to the arrays of `ChordLayers`, and the filter between octaves."""
    import onnx

    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(FILE)
    check_onnx(data)
    graph = onnx.load_from_string(data).graph
    given = {part.name: np.array(onnx.numpy_helper.to_array(part)) for part in graph.initializer}
    arrays: dict[str, NDArray[Any]] = {}
    for node in graph.node:
        kernel = given.get(node.input[1]) if node.op_type == "Conv" else None
        if kernel is not None and (name := LAYERS.get(kernel.shape)):
            arrays |= {f"{name}.weight": kernel, f"{name}.bias": given[node.input[2]]}
    arrays["halving"] = arrays.pop("halving.weight").reshape(-1)
    del arrays["halving.bias"]
    normalisation = [value for name, value in given.items() if "/batch_normalization/" in name]
    arrays["input.shift"], arrays["input.scale"] = sorted(normalisation, key=lambda value: float(value[0]))
    return arrays


if __name__ == "__main__":
    make_and_write_weights(StreamedChords.model, convert, DETAILS, __doc__)
