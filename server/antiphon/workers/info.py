"""What a registered streaming model says of itself, as plain data: listed, and made into workers, without torch."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.contract.params import Value
from antiphon.errors import WorkerError
from antiphon.workers.spec import MAX_SLOTS, WorkerSpec

FACTORIES = {"cpu": "antiphon.workers.torch_stepper:build", "cuda": "antiphon.workers.cuda:build"}
CUDA_MEMORY = 4096
"""MB: a CUDA context and its libraries take gigabytes of the process before the first weight."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the factory of `antiphon_models` gives.

    network: "module:Class" of the `antiphon.workers.streaming.StreamingModel`; imported in the worker.
    weights: their name in the manifest.  folder: of that manifest; "" for the one of Antiphon.  rate, hop,
    inputs, outputs, latency: as the network declares them.  answer: values of an answer for each output, 0 for
    `hop`.  frames: of `rate` from one hop to the next, where a hop is not that many samples; 0 for `hop`.  slots:
    streams one worker takes on the CPU, where each costs time even when idle.  devices: what it can run on.
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

    def worker(self, device: str) -> WorkerSpec:
        """The worker that runs it on "cpu" or "cuda" (of `devices.resolve`). `WorkerError` where it cannot."""
        if device not in self.devices or device not in FACTORIES:
            raise WorkerError(f"the model {self.name} runs on {' or '.join(self.devices)}, not on {device!r}")
        settings: dict[str, Value] = {"network": self.network, "weights": self.weights}
        if self.folder:
            settings["folder"] = self.folder
        return WorkerSpec(
            name=self.name,
            factory=FACTORIES[device],
            hop=self.frames or self.hop,
            rate=self.rate,
            inputs=(self.inputs, self.hop),
            outputs=(self.outputs, self.answer or self.hop),
            slots=self.slots if device == "cpu" else MAX_SLOTS,
            device=device,
            memory=512 if device == "cpu" else CUDA_MEMORY,
            settings=settings,
        )
