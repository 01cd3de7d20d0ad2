"""Worker of a model file: every slot is an independent stream with its own state.

`build_torchscript` and `build_onnx` are factories of a `WorkerSpec` whose settings are path, sha256, method and
attributes.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples, WorkerError
from antiphon.api.backends.models import ModelError
from antiphon.api.backends.workers import Stepper, WorkerSpec
from antiphon_model.landlock import Run, StreamProgram, restrict_process, sentence
from antiphon_model.model_file import read

log = logging.getLogger("antiphon.workers")
CARD_NODES = ("nvidia*", "dxg")
"""Device nodes that a GPU driver reopens during playback."""
WARM_STEPS = 12
"""Warm-up steps of each slot: torch compiles script at the first few."""


def build_torchscript(spec: WorkerSpec) -> Stepper:
    """Makes the stepper of a TorchScript file, on the CPU where it fails on the card.

    Raises ModelError: the file cannot be played.
    """
    # before the limits: what torch imports, as cuda.pathfinder, opens temporary files
    import torch

    from antiphon_model import torchscript

    device = _open_device(spec)
    restrict_process(() if device == "cpu" else CARD_NODES)

    def loaded(data: bytes) -> StreamProgram:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        method, values = str(spec.settings["method"]), str(spec.settings.get("attributes", ""))
        if device != "cpu":
            torch._C._jit_override_can_fuse_on_gpu(False)  # no kernels are compiled while it plays
            try:
                program = torchscript.TorchScriptProgram(torchscript.load(data), method, values, spec.rate, device)
                noise = np.random.default_rng(0).uniform(-0.5, 0.5, spec.inputs).astype(np.float32)
                program.begin()(noise)
                return program
            except (RuntimeError, ModelError) as error:  # as of scripts that make tensors on the CPU
                log.info("%s plays on the CPU: %s", spec.name, sentence(error))
        return torchscript.TorchScriptProgram(torchscript.load(data), method, values, spec.rate)

    return FileStepper(spec, loaded)


def _open_device(spec: WorkerSpec) -> str:
    """The device that works, "cpu" or the spec's, opened before the process loses its rights."""
    if spec.device != "cpu":
        from antiphon.networks.cuda import card as open_card

        try:
            open_card(spec.name)
        except WorkerError as error:  # a driver's node is no card that works
            log.info("%s", error)
            return "cpu"
    return spec.device


def build_onnx(spec: WorkerSpec) -> Stepper:
    """Makes the stepper of an ONNX file. Raises ModelError: the file cannot be played."""

    def loaded(data: bytes) -> StreamProgram:
        from antiphon_model import onnx_file

        return onnx_file.load(data)

    restrict_process()
    return FileStepper(spec, loaded)


class FileStepper:
    """A `Stepper` of one method of a file; a slot without a hop costs nothing."""

    def __init__(self, spec: WorkerSpec, load: Callable[[bytes], StreamProgram]) -> None:
        """Loads the file; `load`: its program. Raises ModelError: it was changed, or cannot be loaded."""
        path = str(spec.settings["path"])
        self._name, self._shape = Path(path).name, spec.outputs
        data = read(path)
        if hashlib.sha256(data).hexdigest() != spec.settings["sha256"]:
            raise ModelError(f"{self._name} was changed since the patch was loaded; load the patch again")
        try:
            self._program = load(data)
        except ModelError as error:
            raise ModelError(f"{self._name}: {error}") from None
        self.device = self._program.device
        self._runs: list[Run | None] = [None] * spec.slots
        self._inputs = spec.inputs

    def warm(self) -> None:
        """Runs steps of noise, and begins every slot."""
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, self._inputs).astype(np.float32)
        y = np.zeros(self._shape, np.float32)
        for slot in range(len(self._runs)):
            self.open(slot, "")
            for _ in range(WARM_STEPS if slot == 0 else 1):
                self._one(slot, noise, y)
            self.open(slot, "")

    def open(self, slot: int, config: str) -> None:
        """Starts a stream in its initial state."""
        self._runs[slot] = self._program.begin()

    def close(self, slot: int) -> None:
        """Does nothing: `open` starts another stream in a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Computes the pending hop of each slot."""
        for slot, hop in enumerate(hops.tolist()):
            if hop >= 0:
                self._one(slot, x[slot], y[slot])

    def _one(self, slot: int, x: Samples, y: Samples) -> None:
        run = self._runs[slot]
        assert run is not None
        try:
            answer = run(x)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelError(f"{self._name}: a hop failed ({sentence(error)})") from None
        if answer.shape != self._shape:
            raise ModelError(f"{self._name} gave {list(answer.shape)} instead of {list(self._shape)}")
        y[...] = answer
