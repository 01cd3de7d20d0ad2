"""Small models that the tests export themselves: TorchScript after nn~'s convention, and ONNX."""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.files import make_folder
from antiphon.api.backends.models import ModelError
from antiphon_model import model_file, probe

TAPS = np.array([0.1, -0.2, 0.1, 1.0, 0.3, 0.1, 0.05, -0.1], np.float32)
"""A filter whose largest tap is at 3."""
PEAK = 3


described = cache(probe.describe)


def known(path: Path) -> Path:
    """Describes a file in this process, and puts that into the cache: a process of its own for each test takes long."""
    data = path.read_bytes()
    place = model_file.cache_for(hashlib.sha256(data).hexdigest())
    make_folder(place.parent)
    place.write_text(json.dumps(described(data)))
    return path


def refusal(data: bytes) -> str:
    """The sentence by which a file is refused."""
    with pytest.raises(ModelError) as refused:
        probe.describe(data)
    text = str(refused.value)
    assert "\n" not in text
    return text


def needs_onnx() -> None:
    """Skips a test where ONNX files can be neither made nor run."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)


def scripted(module: object) -> bytes:
    import torch

    out = io.BytesIO()
    torch.jit.save(torch.jit.script(module), out)
    return out.getvalue()


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# ---- ONNX


def onnx_model(
    nodes: Sequence[object],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    numbers: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, object] | None = None,
    domains: Sequence[str] = (),
) -> bytes:
    """A model of float32 inputs and outputs."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (numbers or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {name: str(value) for name, value in (metadata or {}).items()})
    return bytes(model.SerializeToString())


def onnx_gain(by: float = 0.5, frames: int | str = "frames", **metadata: object) -> bytes:
    from onnx import helper

    nodes = [helper.make_node("Mul", ["x", "by"], ["y"])]
    shapes = {"x": (1, 1, frames)}, {"y": (1, 1, frames)}
    return onnx_model(nodes, *shapes, {"by": np.float32(by)}, metadata)


def onnx_mean(ratio: int = 256) -> bytes:
    """The mean of each `ratio` frames."""
    from onnx import helper

    nodes = [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[ratio], strides=[ratio])]
    return onnx_model(nodes, {"x": (1, 1, "frames")}, {"y": (1, 1, "values")})


def onnx_steps(ratio: int = 256) -> bytes:
    """Each value for `ratio` frames."""
    from onnx import helper

    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest",
                              coordinate_transformation_mode="asymmetric", nearest_mode="floor")]  # fmt: skip
    scales = np.array([1.0, 1.0, ratio], np.float32)
    return onnx_model(nodes, {"x": (1, 1, "values")}, {"y": (1, 1, "frames")}, {"scales": scales})


def onnx_convolution(frames: int = 480, **metadata: object) -> bytes:
    """A convolution whose past goes in and comes out: `cache` and `cache_out`."""
    from onnx import helper

    past = len(TAPS) - 1
    nodes = [
        helper.make_node("Concat", ["cache", "x"], ["all"], axis=2),
        helper.make_node("Conv", ["all", "taps"], ["y"]),
        helper.make_node("Slice", ["all", "from", "to", "axis"], ["cache_out"]),
    ]
    numbers = {
        "taps": TAPS[::-1].reshape(1, 1, -1).copy(),
        "from": np.array([-past], np.int64),
        "to": np.array([1 << 40], np.int64),
        "axis": np.array([2], np.int64),
    }
    state = (1, 1, past)
    return onnx_model(
        nodes, {"x": (1, 1, frames), "cache": state}, {"y": (1, 1, frames), "cache_out": state}, numbers, metadata
    )


def onnx_trap(what: str, limit: float = 0.9) -> bytes:
    """A gain of one that misbehaves at a hop whose first frame is above `limit`: "hang", "memory" or "nan"."""
    from onnx import TensorProto, helper, numpy_helper

    def inner(body: Sequence[object], output: str) -> object:
        return helper.make_graph(
            list(body), f"branch_{output}", [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        )

    turn = helper.make_graph(
        [helper.make_node("Identity", ["again"], ["on"]), helper.make_node("Identity", ["before"], ["after"])],
        "turn",
        [helper.make_tensor_value_info("n", TensorProto.INT64, []),
         helper.make_tensor_value_info("again", TensorProto.BOOL, []),
         helper.make_tensor_value_info("before", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("after", TensorProto.FLOAT, None)],
    )  # fmt: skip
    if what == "hang":
        bad = [helper.make_node("Loop", ["", "high", "x"], ["bad"], body=turn)]
    elif what == "memory":  # 4 TB
        bad = [helper.make_node("Expand", ["x", "vast"], ["bad"])]
    else:
        bad = [helper.make_node("Div", ["zeros", "zeros"], ["bad"])]
    nodes = [
        helper.make_node("Gather", ["x", "zero"], ["first"], axis=2),
        helper.make_node("ReduceMax", ["first"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["high"]),
        helper.make_node("If", ["high"], ["y"], then_branch=inner(bad, "bad"),
                         else_branch=inner([helper.make_node("Identity", ["x"], ["good"])], "good")),
    ]  # fmt: skip
    numbers = {
        "zero": np.array([0], np.int64),
        "limit": np.float32(limit),
        "zeros": np.zeros((1, 1, 480), np.float32),
        "vast": np.array([1, 1 << 31, 480], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 480])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


# ---- TorchScript


@cache
def torch_convolution() -> bytes:
    """As RAVE's cached convolutions: the past is a buffer of the module."""
    import torch

    class Convolution(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sr = 48000
            self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))
            self.register_buffer("taps", torch.from_numpy(TAPS[::-1].copy()).reshape(1, 1, -1))
            self.register_buffer("cache", torch.zeros(1, 1, len(TAPS) - 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            whole = torch.cat([self.cache, x], 2)
            self.cache.copy_(whole[..., -self.cache.shape[2] :])
            return torch.nn.functional.conv1d(whole, self.taps)

    return scripted(Convolution())


@cache
def torch_codec(ratio: int = 256, rate: int = 48000) -> bytes:
    """encode: the mean and the peak of each `ratio` frames.  decode: a sine of 220 Hz × 2^z1, at the level z2, whose
    phase goes on from hop to hop.  forward: a gain, set by `gain`."""
    import torch

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sr, self.ratio = rate, ratio
            self.level = 1.0
            self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))
            self.register_buffer("encode_params", torch.tensor([1, 1, 2, ratio]))
            self.register_buffer("decode_params", torch.tensor([2, ratio, 1, 1]))
            self.register_buffer("gain_params", torch.tensor([2]))
            self.register_buffer("phase", torch.zeros(1, dtype=torch.float64))

        @torch.jit.export
        def get_methods(self) -> list[str]:
            return ["encode", "decode", "forward"]

        @torch.jit.export
        def get_attributes(self) -> list[str]:
            return ["gain"]

        @torch.jit.export
        def get_gain(self) -> float:
            return self.level

        @torch.jit.export
        def set_gain(self, level: float) -> int:
            if level < 0.0:
                return -1
            self.level = level
            return 0

        @torch.jit.export
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            parts = x.reshape(1, -1, self.ratio)
            return torch.stack([parts.mean(2), parts.abs().amax(2)], 1).reshape(1, 2, -1)

        @torch.jit.export
        def decode(self, z: torch.Tensor) -> torch.Tensor:
            pitch = (220.0 * torch.exp2(z[:, :1])).repeat_interleave(self.ratio, 2)
            turns = self.phase + torch.cumsum(pitch.to(torch.float64) / self.sr, 2)
            self.phase.copy_(turns[0, 0, -1:] % 1.0)
            level = z[:, 1:].repeat_interleave(self.ratio, 2)
            return (level * torch.sin(2.0 * math.pi * turns)).to(torch.float32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.level

    return scripted(Codec())
