"""Runs an ONNX file, in a worker or in the probe, on onnxruntime's CPU provider with one thread.

The convention: one float input is the sound, `[1, channels, frames]`, `[channels, frames]` or `[frames]`. Every other
input is a state, initially zeros, with an output of its own: `NAME` is followed by `NAME_out`, `NAME_in` by `NAME_out`,
`in_NAME` by `out_NAME`, and `NAME` by `new_NAME`. The remaining output is the answer. Metadata of the model may declare
`rate`, `hop`, `latency`, `in_ratio` and `out_ratio` as whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.models import ModelError, check_onnx
from antiphon_model.landlock import Run, sentence

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
MAX_STATE = 1 << 26
"""Maximum values of one state."""
LIMITS = {
    "rate": (1000, 768000),
    "hop": (1, 65536),
    "latency": (0, 1 << 20),
    "in_ratio": (1, 65536),
    "out_ratio": (1, 65536),
}


def load(data: bytes) -> OnnxModel:
    """Loads a model from a file's bytes. Raises ModelError: it is not ONNX, or does not follow the convention."""
    check_onnx(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    # a spinning thread would take a core from the engine, and an arena that grows more memory than is asked for
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"onnxruntime cannot load it ({sentence(error)}); export it again") from None
    return OnnxModel(session)


class OnnxModel:
    """An onnxruntime session with classified inputs and outputs; a `StreamProgram`.

    `outputs`: output channels; 0 if the file does not state them. `declared`: whole numbers of its metadata by name,
    only names in `LIMITS`.
    """

    device = "cpu"

    def __init__(self, session: Any) -> None:
        """Finds the sound and the states. Raises ModelError: the convention is not followed."""
        self._session = session
        ins = {value.name: value for value in session.get_inputs()}
        outs = [value.name for value in session.get_outputs()]
        self._states = {name: after for name in ins if (after := _after(name, outs))}
        sounds = [name for name in ins if name not in self._states]
        answers = [name for name in outs if name not in self._states.values()]
        if len(sounds) != 1 or len(answers) != 1:
            raise ModelError(
                f"it has {len(sounds)} inputs ({_few(sounds)}) and {len(answers)} outputs ({_few(answers)}) that are "
                "no state; it takes one of each, and states as NAME and NAME_out"
            )
        self._sound, self._answer = ins[sounds[0]], answers[0]
        if self._sound.type != "tensor(float)":
            raise ModelError(f"its input {sounds[0]} is {self._sound.type}; float32 sound is needed")
        shape = list(self._sound.shape)
        if not 1 <= len(shape) <= 3 or (
            len(shape) == 3 and shape[0] not in (1, None) and not isinstance(shape[0], str)
        ):
            raise ModelError(f"its input {sounds[0]} is {shape}; [1, channels, frames] is needed")
        self._rank = len(shape)
        self.inputs = shape[-2] if len(shape) > 1 and isinstance(shape[-2], int) else 1
        self.frames = shape[-1] if isinstance(shape[-1], int) else 0  # frames that a step takes; 0 for any number
        if not 1 <= self.inputs <= 64 or not 0 <= self.frames <= 65536:
            raise ModelError(f"its input {sounds[0]} is {shape}; 1 to 64 channels and up to 65536 frames are allowed")
        given = next(value.shape for value in session.get_outputs() if value.name == answers[0])
        self.outputs = given[-2] if len(given) > 1 and isinstance(given[-2], int) and given[-2] > 0 else 0
        self._fresh = {name: _zeros(ins[name]) for name in self._states}
        self.declared = _declared(session.get_modelmeta().custom_metadata_map)

    def begin(self) -> Run:
        """Starts a stream with zero states; returns the function that processes its hops."""
        states = {name: value.copy() for name, value in self._fresh.items()}
        wanted = [self._answer, *self._states.values()]

        def step(x: Samples) -> Samples:
            sound = x[None] if self._rank == 3 else x[0] if self._rank == 1 else x
            answer, *after = self._session.run(wanted, {self._sound.name: np.ascontiguousarray(sound), **states})
            for name, value in zip(self._states, after, strict=True):
                if value.shape != states[name].shape:
                    raise ModelError(f"gave its state {name} as {list(value.shape)}, not {list(states[name].shape)}")
                states[name] = value
            if not isinstance(answer, np.ndarray) or answer.ndim > 3 or (answer.ndim == 3 and answer.shape[0] != 1):
                raise ModelError(f"gave {list(np.shape(answer))} instead of [1, channels, values]")
            out: Samples = answer.reshape(-1, answer.shape[-1]).astype(np.float32, copy=False)
            return out

        return step


def _after(name: str, outs: list[str]) -> str:
    """The output that feeds a state input at the next hop; "" if the input is not a state."""
    stem = name.removesuffix("_in")
    names = (f"{stem}_out", f"new_{name}", *((f"out_{name[3:]}",) if name.startswith("in_") else ()))
    return next((n for n in names if n in outs), "")


def _zeros(value: Any) -> NDArray[Any]:
    # a dimension with a name is the batch
    shape = [n if isinstance(n, int) else 1 for n in value.shape]
    if value.type not in TYPES or any(n < 0 for n in shape) or np.prod(shape, dtype=object) > MAX_STATE:
        raise ModelError(f"its state {value.name} is {value.type} {list(value.shape)}, which is not allowed")
    return np.zeros(shape, TYPES[value.type])


def _declared(metadata: dict[str, str]) -> dict[str, int]:
    found = {}
    for name, (low, high) in LIMITS.items():
        text = str(metadata.get(name, ""))
        if text:
            if not text.isascii() or not text.isdigit() or not low <= int(text[:10]) <= high:
                raise ModelError(f"its metadata say {name} {text[:20]!r}; {low} to {high} is allowed")
            found[name] = int(text)
    return found


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) or "none"
