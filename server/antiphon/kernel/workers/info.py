"""The declaration of a streaming model as plain data, from which workers are described without importing torch."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec

FACTORIES = {
    "cpu": "antiphon.kernel.workers.networks.torch_stepper:build",
    "cuda": "antiphon.kernel.workers.networks.cuda:build",
}
"""The factory of a torch model's worker, by device."""
ARRAY_FACTORY = "antiphon.kernel.workers.networks.array_stepper:build"
"""The factory of a worker on the CPU where there is the same network in numpy."""
CUDA_MEMORY = 4096
"""MB: a CUDA context and its libraries take gigabytes of the process before the first weight."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A streaming model, as data: what the factory of `antiphon_models` gives. It imports no torch.

    Attributes:
        name: Its name in `antiphon models` and messages.
        network: "module:Class" of the `antiphon.api.backends.networks.StreamingModel`, imported in the worker.
        weights: Their name in the manifest.
        plugin: The plugin it belongs to.
        rate: Frames per second, as the network declares it.
        hop: Values that are posted at a time for each input: a hop's frames where they are sound.
        inputs: Channels of one stream in.
        outputs: Channels of one stream out.
        latency: Algorithmic latency in frames, beyond the hop that has to be gathered first.
        slots: Streams that one worker takes on the CPU, where each costs time even when it has no hops.
        devices: What it can run on: "cpu", "cuda".
        folder: Of the manifest; "" for the one that ships with Antiphon.
        answer: Values of an answer for each output; 0 for `hop`.
        frames: Frames of `rate` from one hop to the next, where a hop is not that many samples; 0 for `hop`.
        array_network: "module:Class" of the same network in numpy, an `antiphon.api.backends.models.ArrayNetwork`, which plays
            on the CPU without torch; "" where `network` plays there too.
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
        """Tells whether the network in numpy plays.

        Args:
            device: Of the server: "cpu" or "cuda".

        Returns:
            True where there is one, and the model runs on the CPU with that device.
        """
        return bool(self.array_network) and (device == "cpu" or device not in self.devices)

    def worker(self, device: str) -> WorkerSpec:
        """Describes the worker that runs the model: its network in numpy on the CPU where there is one.

        Args:
            device: "cpu" or "cuda".

        Returns:
            The worker's spec.

        Raises:
            WorkerError: The model does not run on that device.
        """
        if device == "cpu" and device in self.devices and self.array_network:
            return self._worker(device, self.array_network, ARRAY_FACTORY, "none")
        return self.torch_worker(device)

    def torch_worker(self, device: str) -> WorkerSpec:
        """Describes a worker that runs the model in torch.

        Args:
            device: "cpu" or "cuda".

        Returns:
            The worker's spec.

        Raises:
            WorkerError: The model does not run on that device.
        """
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
