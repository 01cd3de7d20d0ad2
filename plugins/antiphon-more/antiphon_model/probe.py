"""A process that loads and tests a model file under limits.

The file's code runs in a child process without output and without rights to write files, which is killed at its time or
memory limit. Its answer is JSON, a description or `{"refused": "why"}`, which the parent stores in the cache.
"""

import contextlib
import hashlib
import importlib
import json
import os
import signal
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import AntiphonError, Samples
from antiphon.api.backends.files import lock_file, write_atomic
from antiphon.api.backends.models import ModelError
from antiphon.api.backends.runtime import ForkedEnd, limit_resources, run_forked
from antiphon.networks.onnx_wire import looks_like as looks_like_onnx
from antiphon_model import archive
from antiphon_model.landlock import StreamProgram, restrict_process, sentence
from antiphon_model.model_file import MAX_BYTES, MIN_HOP, REFUSAL_SECONDS, SLOW_SECONDS, ModelMethod

MAX_ANSWER = 1 << 16
"""Maximum bytes of a description."""
MEMORY = 4 << 30
"""Limit of the probe's private memory in bytes, including torch's own."""
MEASURED_FRAMES = 24576
"""Minimum frames of noise used to measure latency."""
MEASURE_SECONDS = 2.0
"""CPU time limit of that measurement, for each method."""
MIN_CORRELATION = 0.2
"""Minimum correlation peak of a delayed copy; chance gives 0.04 in `MEASURED_FRAMES`."""


def main(path: str, cache_file: str, seconds: str) -> None:
    """Tests a file in a child process under limits, for at most `seconds`, and writes the answer into the cache.

    A refusal is written beside `cache_file`.
    """
    place, limit = Path(cache_file), float(seconds)
    lock = lock_file(place.with_suffix(".lock"))
    if lock is None:
        return  # another process is trying this file
    try:
        if place.exists():
            return
        end = run_forked(partial(_describe_confined, path, limit), limit, MAX_ANSWER)
        if end.status == -signal.SIGALRM:  # on a machine so busy that it was not yet late
            end = replace(end, late=limit)
        answer = _probe_answer(end)
        if "refused" in answer:
            place = place.with_suffix(".refused")
            answer["until"] = time.time() + (SLOW_SECONDS if end.late else REFUSAL_SECONDS)
        write_atomic(place, json.dumps(answer).encode())
    finally:
        os.close(lock)


def _probe_answer(end: ForkedEnd) -> dict[str, Any]:
    if end.late:
        return {"refused": f"it was not tried within {end.late:g} s; it is too large for this machine or made to harm"}
    if end.answer is None:
        return {"refused": f"it ended the process that loaded it ({end.how}); it is broken or made to harm"}
    return end.answer if isinstance(end.answer, dict) else {"refused": "it gave no description"}


def _describe_confined(path: str, limit: float) -> dict[str, Any]:
    """Child process: gives up rights, and describes the file."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 4.0 * limit)  # where its parent was killed, which ends it before that
    limit_resources(data=MEMORY)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if archive.may_be_script(data):
            # before the limits: what torch imports, as cuda.pathfinder, opens temporary files
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module("antiphon_model.torchscript")
        restrict_process()
        return describe(data)
    except ModuleNotFoundError as error:
        how = "`make models` installs it" if error.name == "torch" else f"`pip install {error.name}` installs it"
        return {"refused": f"it needs {error.name}, which is not installed; {how}"}
    except MemoryError:
        return {"refused": f"it takes over {MEMORY >> 30} GB"}
    except AntiphonError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"refused": f"it failed when it was tried ({sentence(error)})"}


def describe(data: bytes) -> dict[str, Any]:
    """Loads and tests a model; returns its description without the path. Raises ModelError: it cannot be played."""
    parts = _describe_onnx(data) if looks_like_onnx(data) else _describe_torchscript(data)
    return {"sha256": hashlib.sha256(data).hexdigest(), **parts}


def _describe_torchscript(data: bytes) -> dict[str, Any]:
    archive.check(data)  # which needs no torch

    import torch

    from antiphon_model import torchscript

    torch.set_num_threads(1)
    module = torchscript.load(data)
    declared = torchscript.methods(module)
    shortest = max(max(numbers[1], numbers[3]) for numbers in declared.values())
    methods = []
    for name, (inputs, in_ratio, outputs, out_ratio) in declared.items():
        method = ModelMethod(name, inputs, in_ratio, outputs, out_ratio)
        program = torchscript.TorchScriptProgram(module, name)
        methods.append(_test_method(method, program, _hop(shortest), torchscript.latency(module, name)))
    kinds = torchscript.attributes(module)
    return {
        "format": "torchscript",
        "rate": torchscript.rate(module),
        "hop": shortest,
        "fixed": False,
        "methods": [asdict(method) for method in methods],
        "attributes": [[name, " ".join(kind)] for name, kind in kinds.items()],
    }


def _describe_onnx(data: bytes) -> dict[str, Any]:
    from antiphon_model import onnx_file

    model = onnx_file.load(data)
    declared = model.declared
    values = model.frames or declared.get("hop", MIN_HOP) // declared.get("in_ratio", 1) or 1
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
    method = ModelMethod("forward", model.inputs, in_ratio, model.outputs or answer.shape[0], out_ratio)
    hop = shortest if model.frames else _hop(shortest)
    method = _test_method(method, model, hop, declared.get("latency"))
    return {
        "format": "onnx",
        "rate": declared.get("rate", 0),
        "hop": shortest,
        "fixed": bool(model.frames),
        "methods": [asdict(method)],
        "attributes": [],
    }


def _hop(shortest: int) -> int:
    return -(-MIN_HOP // shortest) * shortest


def _test_method(method: ModelMethod, program: StreamProgram, hop: int, declared: int | None) -> ModelMethod:
    """Tests a method; returns it with its latency, or with the reason why it cannot be played."""
    try:
        frames = measure(method, program, hop) if declared is None and method.sound else None
        if frames is None:
            run = program.begin()
            for x in (0.0, 0.5):
                _answer(method, run, np.full((method.inputs, hop // method.in_ratio), x, np.float32), hop)
    except ModelError as error:
        return replace(method, problem=str(error))
    except Exception as error:
        return replace(method, problem=f"failed when it was tried ({sentence(error)})")
    if declared is not None:
        return replace(method, latency=declared, source="declared")
    return method if frames is None else replace(method, latency=frames, source="measured")


def measure(method: ModelMethod, program: StreamProgram, hop: int) -> int | None:
    """Measures a method's latency in frames by correlating noise with its answer; None if the answer has no copy of it.

    Raises ModelError: the method's answer cannot be played.
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
    return peak if scale and abs(likeness[peak]) >= MIN_CORRELATION * scale else None


def _answer(method: ModelMethod, run: Any, x: Samples, hop: int) -> Samples:
    y: Samples = run(x)
    wanted = (method.outputs, hop // method.out_ratio)
    if y.shape != wanted:
        raise ModelError(f"answers a hop of {hop} frames with {list(y.shape)} instead of {list(wanted)}")
    if not np.isfinite(y).all():
        raise ModelError("gives NaN or infinity")
    return y
