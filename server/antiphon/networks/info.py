"""Declaration of a streaming model as plain data, from which workers are described without importing torch."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec

FACTORIES = {
    "cpu": "antiphon.networks.torch_network:build",
    "cuda": "antiphon.networks.cuda:build",
}
"""Factories of torch models' workers, by device."""
ARRAY_FACTORY = "antiphon.networks.array_network:build"
"""Factory of a CPU worker for a model with a numpy version of its network."""
CUDA_MEMORY = 4096
"""MB: a CUDA context and its libraries take gigabytes of the process before the first weight."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A streaming model, as data: the return type of factories of `antiphon_models`. It imports no torch.

    Attributes:
        name: Its name in `antiphon models` and messages.
        network: "module:Class" of the `antiphon.api.backends.networks.StreamingModel`, imported in the worker.
        rate: Frames per second, as the network declares it.
        hop: Values that are posted at a time for each input: a hop's frames where they are sound.
        latency: Algorithmic latency in frames, beyond the hop that has to be gathered first.
        slots: Streams that one worker takes on the CPU, where each costs time even when it has no hops.
        devices: What it can run on: "cpu", "cuda".
        folder: Of the manifest; "" for the one that ships with Antiphon.
        answer: Values of an answer for each output; 0 for `hop`.
        frames: Frames of `rate` from one hop to the next, where a hop is not that many samples; 0 for `hop`.
        array_network: "module:Class" of the same network in numpy, an `antiphon.api.backends.models.ArrayNetwork`,
            which plays on the CPU without torch; "" where `network` plays there too.
    """

    name: str
    network: str
    weights: str
    plugin: str
    rate: int = 48000
    hop: int = 480
    inputs: int = 1
    outputs: int = 1
    latency: int = 0
    slots: int = 4
    devices: tuple[str, ...] = ("cpu", "cuda")
    folder: str = ""
    answer: int = 0
    frames: int = 0
    array_network: str = ""

    def plays_arrays(self, device: str) -> bool:
        """Whether the numpy network runs on the CPU of a server with that device, "cpu" or "cuda".

        It does so on "cuda" too where the package of `network` is not installed: plugins ship without the lab.
        """
        on_card = device != "cpu" and device in self.devices
        return bool(self.array_network) and not (on_card and self._installed())

    def _installed(self) -> bool:
        return importlib.util.find_spec(self.network.partition(":")[0].partition(".")[0]) is not None

    def worker(self, device: str) -> WorkerSpec:
        """Worker in numpy where `plays_arrays`, else in torch. Raises WorkerError: it does not run on that device."""
        if device in self.devices and self.plays_arrays(device):
            return self._worker("cpu", self.array_network, ARRAY_FACTORY, "none")
        return self.torch_worker(device)

    def torch_worker(self, device: str) -> WorkerSpec:
        """Spec of a worker that runs the model in torch. Raises WorkerError: the model does not run on that device."""
        if device not in self.devices or device not in FACTORIES:
            raise WorkerError(f"the model {self.name} runs on {' or '.join(self.devices)}, not on {device!r}")
        return self._worker(device, self.network, FACTORIES[device], "torch")

    def _worker(self, device: str, network: str, factory: str, zygote: str) -> WorkerSpec:
        settings: dict[str, Value] = {"network": network, "weights": self.weights}
        if self.folder:
            settings["folder"] = self.folder
        return WorkerSpec(
            name=self.name,
            factory=factory,
            zygote=zygote,
            hop=self.frames or self.hop,
            rate=self.rate,
            inputs=(self.inputs, self.hop),
            outputs=(self.outputs, self.answer or self.hop),
            slots=self.slots if device == "cpu" else MAX_SLOTS,
            device=device,
            memory=512 if device == "cpu" else CUDA_MEMORY,
            settings=settings,
        )


@dataclass(frozen=True, slots=True)
class FileListing:
    """List entry of one method of a model file, or of a file that cannot be played.

    Attributes:
        format: "torchscript", "onnx", or "" where it is not known.
        in_ratio: Frames of sound for each value of an input; 1 is sound.
        rate: Frames per second that the file was made for; 0 where it does not say.
        hop: Frames of its shortest hop.
        latency: Frames by which its sound lags, without the hop.
        source: Where the latency is from: "declared", "measured" or "assumed".
        problem: Why it cannot be played, or "".
    """

    file: str
    bytes: int = 0
    format: str = ""
    method: str = ""
    inputs: int = 0
    in_ratio: int = 1
    outputs: int = 0
    out_ratio: int = 1
    rate: int = 0
    hop: int = 0
    latency: int = 0
    source: str = ""
    problem: str = ""


@runtime_checkable
class ModelFolder(Protocol):
    """A folder of model files; a factory of `antiphon_models` may return it in place of a `ModelInfo`."""

    def listed(self) -> Sequence[FileListing]:
        """Lists the methods of its files."""
