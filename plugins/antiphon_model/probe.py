"""`python -m antiphon_model.probe FILE SECONDS`: loads a model file under limits, tries it, and prints what it is.

Its last line of output is JSON: a description, or `{"refused": "why"}`. The file's code runs here; it has no output,
may not write, and is ended when its time or its memory is used up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
import time
from typing import Any

import numpy as np

from antiphon.api import AntiphonError, Samples
from antiphon.api.models import ModelError
from antiphon_model import archive, onnx_wire
from antiphon_model.foreign import Program, confine, sentence
from antiphon_model.model_file import LEAST_HOP, MAX_BYTES, Method, as_data

MEMORY = 4 << 30
"""Bytes of private memory of the probe, torch's own among them."""
MEASURED_FRAMES = 24576
"""Frames of noise that the latency is measured with, at least."""
MEASURE_SECONDS = 2.0
"""Processor time for that, for each method."""
LEAST_CORRELATION = 0.2
"""A peak below it is no delayed copy of the noise; chance gives 0.04 in `MEASURED_FRAMES`."""


def main(path: str, seconds: str) -> None:
    """Prints the description of a file.

    Args:
        path: The file.
        seconds: After how many the process ends, by the wall's clock.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    answers, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    confine()
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        description = describe(data)
    except ModuleNotFoundError as error:
        how = "`make models` installs it" if error.name == "torch" else f"`pip install {error.name}` installs it"
        description = {"refused": f"it needs {error.name}, which is not installed; {how}"}
    except MemoryError:
        description = {"refused": f"it takes over {MEMORY >> 30} GB"}
    except AntiphonError as error:
        description = {"refused": str(error)}
    except Exception as error:
        description = {"refused": f"it failed when it was tried ({sentence(error)})"}
    os.write(answers, json.dumps(description).encode() + b"\n")


def describe(data: bytes) -> dict[str, Any]:
    """Loads and tries a model.

    Args:
        data: The file.

    Returns:
        Its description, without its path.

    Raises:
        ModelError: It is none.
    """
    parts = _onnx(data) if onnx_wire.looks_like(data) else _torchscript(data)
    return {"sha256": hashlib.sha256(data).hexdigest(), **parts}


def _torchscript(data: bytes) -> dict[str, Any]:
    archive.check(data)  # before torch is imported, which takes seconds

    import torch

    from antiphon_model import torchscript

    torch.set_num_threads(1)
    module = torchscript.load(data)
    declared = torchscript.methods(module)
    shortest = max(max(numbers[1], numbers[3]) for numbers in declared.values())
    methods = []
    for name, (inputs, in_ratio, outputs, out_ratio) in declared.items():
        method = Method(name, inputs, in_ratio, outputs, out_ratio)
        program = torchscript.TorchScriptProgram(module, name)
        methods.append(_tried(method, program, _hop(shortest), torchscript.latency(module, name)))
    kinds = torchscript.attributes(module)
    return {
        "format": "torchscript", "rate": torchscript.rate(module), "hop": shortest, "fixed": False,
        "methods": [as_data(method) for method in methods],
        "attributes": [[name, " ".join(kind)] for name, kind in kinds.items()],
    }  # fmt: skip


def _onnx(data: bytes) -> dict[str, Any]:
    from antiphon_model import onnx_file

    model = onnx_file.load(data)
    declared = model.declared
    values = model.frames or declared.get("hop", LEAST_HOP) // declared.get("in_ratio", 1) or 1
    try:
        answer = model.begin()(np.zeros((model.inputs, values), np.float32))
    except Exception as error:
        raise ModelError(f"it cannot compute a hop of {values} values ({sentence(error)})") from None
    given = answer.shape[1]
    if not given or max(values, given) % min(values, given):
        raise ModelError(f"it answers {values} values with {given}; the longer has to be a multiple of the shorter")
    in_ratio = declared.get("in_ratio", max(1, given // values) * declared.get("out_ratio", 1))
    out_ratio = declared.get("out_ratio", max(1, values * in_ratio // given))
    shortest = values * in_ratio if model.frames else declared.get("hop", max(in_ratio, out_ratio))
    method = Method("forward", model.inputs, in_ratio, model.outputs or answer.shape[0], out_ratio)
    hop = shortest if model.frames else _hop(shortest)
    method = _tried(method, model, hop, declared.get("latency"))
    return {
        "format": "onnx", "rate": declared.get("rate", 0), "hop": shortest, "fixed": bool(model.frames),
        "methods": [as_data(method)], "attributes": [],
    }  # fmt: skip


def _hop(shortest: int) -> int:
    return -(-LEAST_HOP // shortest) * shortest


def _tried(method: Method, program: Program, hop: int, declared: int | None) -> Method:
    """The method with its latency, or with the reason why it cannot be played."""
    data = as_data(method)
    try:
        frames = measure(method, program, hop) if declared is None and method.sound else None
        if frames is None:
            run = program.begin()
            for x in (0.0, 0.5):
                _answer(method, run, np.full((method.inputs, hop // method.in_ratio), x, np.float32), hop)
    except ModelError as error:
        return Method(**{**data, "problem": str(error)})
    except Exception as error:
        return Method(**{**data, "problem": f"failed when it was tried ({sentence(error)})"})
    if declared is not None:
        return Method(**{**data, "latency": declared, "source": "declared"})
    return method if frames is None else Method(**{**data, "latency": frames, "source": "measured"})


def measure(method: Method, program: Program, hop: int) -> int | None:
    """Measures by how many frames the sound of a method lags, by the correlation of noise with its answer.

    Args:
        method: A method that is sound in, sound out.
        program: What runs it.
        hop: Frames of a hop.

    Returns:
        Frames from 0; None where the answer is no copy of the noise.

    Raises:
        ModelError: The method's answer cannot be played.
    """
    count = max(4, -(-MEASURED_FRAMES // hop))
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (count, hop)).astype(np.float32)
    run, until, answers = program.begin(), time.process_time() + MEASURE_SECONDS, []
    for part in noise:
        answers.append(_answer(method, run, np.tile(part, (method.inputs, 1)), hop).mean(axis=0))
        if time.process_time() > until and len(answers) >= 4:
            break
    y = np.concatenate(answers).astype(np.float64)
    x = noise.reshape(-1)[: len(y)].astype(np.float64)
    size = 2 * len(y)
    likeness = np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)), size)[: len(y) // 2]
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    peak = int(np.argmax(np.abs(likeness)))
    return peak if scale and abs(likeness[peak]) >= LEAST_CORRELATION * scale else None


def _answer(method: Method, run: Any, x: Samples, hop: int) -> Samples:
    y: Samples = run(x)
    wanted = (method.outputs, hop // method.out_ratio)
    if y.shape != wanted:
        raise ModelError(f"answers a hop of {hop} frames with {list(y.shape)} instead of {list(wanted)}")
    if not np.isfinite(y).all():
        raise ModelError("gives NaN or infinity")
    return y


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
