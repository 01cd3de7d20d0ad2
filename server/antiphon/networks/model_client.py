"""Client of a model, for processors with their own hop grid, and checks that a model can run.

Processor and network agree on the contents of hops and answers (sound, band levels, gains).
"""

import logging
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.errors import PluginError, WorkerError
from antiphon.kernel.runtime import extras
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.native import dsp
from antiphon.native.kernel import Step
from antiphon.networks import array_network, lockstep, model_files
from antiphon.networks.array_network import ArrayNetwork
from antiphon.networks.info import ModelInfo
from antiphon.networks.rebuffer import lead_for
from antiphon.networks.worker_processor import WorkerClient, WorkerProcessor

BLOCKS_A_HOP = 4
"""Maximum hop in blocks for which a numpy network is computed inline, in the block that completes the hop.

At 64-frame blocks the shipped networks' nodes take up to two thirds of a block at p99 on a busy machine; at 256 frames
a fifth. With shorter blocks, a worker has a whole hop of time (docs/decisions/README.md, 0060).
"""


class ModelClient(WorkerClient):
    """A processor's streams of one model, side by side.

    A model with a numpy network on the CPU, with a hop of at most `BLOCKS_A_HOP` blocks, is computed inline, in `send`,
    and `lead` is 0. Otherwise a worker runs it, as for `WorkerClient`. The processor's latency includes `lead *
    hop_frames`. Processor and network agree on the contents of hops and answers (sound, band levels, gains).
    `ModelProcessor` is for sound in, sound out.
    """

    def __init__(self, model: ModelInfo, lanes: int, hop_frames: int, block: int, node: int) -> None:
        """Opens the streams, on the server's device if the model can run on it.

        `hop_frames`: frames of a hop in the processor's grid, which numbers the hops. `block`: maximum frames of a
        block. Raises WorkerError: the worker does not start, there is no free slot, or the network does not fit its
        weights.
        """
        device = lockstep.inline_device()
        arrays = device is not None and model.plays_arrays(device) and hop_frames <= BLOCKS_A_HOP * block
        spec = worker_of(model)
        super().__init__(spec, 0 if arrays else lanes, 0 if arrays else lead_for(hop_frames, block), node)
        self._networks = [_network(model, spec) for _ in range(lanes if arrays else 0)]
        if arrays:
            self.there = True
            self._answer: Samples = np.zeros((lanes, *spec.outputs), np.float32)
            self._answer_at = self._answer.ctypes.data

    def send(self, hop: int, values: Samples, io: IO) -> None:
        """Computes a hop inline, or posts it to the worker."""
        if not self._networks:
            super().send(hop, values, io)
            return
        for network, x, y in zip(self._networks, values, self._answer, strict=True):
            network.step(x, y)

    def take(self, hop: int, io: IO) -> Samples | None:
        """Returns the answer to a hop. Hops are requested in order, each once.

        Returns float32 `[lanes, *outputs]`, valid until the next `send` or `take`; None if it is late, or is not
        finite, after which the network restarts from its initial state.
        """
        if not self._networks:
            return super().take(hop, io)
        if dsp.peak.call(self._answer_at, self._answer.size, 1, self._answer.size) < 0.0:
            self.reset()
            return None
        return self._answer

    def reset(self) -> None:
        """Resets the state from the next hop on; `begin` follows."""
        super().reset()
        for network in self._networks:
            network.start()


def _network(model: ModelInfo, spec: WorkerSpec) -> ArrayNetwork:
    """Network of one lane; raises WorkerError if it cannot be loaded, handled as a missing worker."""
    try:
        return array_network.load(model.array_network, model.weights, model.folder, spec.inputs, spec.outputs)
    except model_files.ModelError as error:
        raise WorkerError(str(error)) from None


def worker_of(model: ModelInfo) -> WorkerSpec:
    """Spec of the worker that runs a model, on the server's device if the model can, otherwise on the CPU."""
    here = lockstep.current()
    if here is None:  # a check: nothing is started
        return model.worker(model.devices[0])
    return model.worker(here.device if here.device in model.devices else "cpu")


def usable(model: ModelInfo) -> str:
    """Sentence that says why a model cannot run here; "" if its weights, and torch if needed, are installed."""
    try:
        model_files.entry(model.weights, Path(model.folder) if model.folder else None)
    except model_files.ModelError as error:
        return str(error)
    if not model.array_network and devices.installed_torch() is None:
        return extras.sentence(f"the model {model.name}", "torch")
    return ""


def say_instead(log: logging.Logger, text: str) -> None:
    """Logs the fallback of a node without its model, once per process, and not while plugins are checked."""
    if not devices.workers_disabled() and (log.name, text) not in _LOGGED_FALLBACKS:
        _LOGGED_FALLBACKS.add((log.name, text))
        log.warning("%s", text)


_LOGGED_FALLBACKS: set[tuple[str, str]] = set()
"""(logger, text) of fallbacks logged in this process; bounded by the number of models' modes."""


class ModelProcessor(WorkerProcessor):
    """Processor of sound through a streaming model in a worker; the host adapts the rate.

        class Leveller(ModelProcessor):
            model = LEVELLER
            rate = LEVELLER.rate

    is a complete processor. A model with fewer channels than the stream gets a slot for each group of channels.
    `model`: the model, with as many inputs as outputs, and with answers as long as hops.
    """

    model: ClassVar[ModelInfo]

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the model's worker.

        Raises PluginError: the model is not sound in, sound out, or its rate is not the stream's.
        """
        model = self.model
        if model.inputs != model.outputs:
            raise PluginError(f"{model.name} has {model.inputs} channels in and {model.outputs} out; write a processor")
        if model.answer not in (0, model.hop):
            raise PluginError(f"{model.name} answers {model.hop} frames with {model.answer}; write a processor")
        if spec.rate != model.rate:
            raise PluginError(f"{model.name} runs at {model.rate} Hz; set the processor's rate to it")
        return worker_of(model)

    def lanes(self, spec: StreamSpec) -> int:
        """Number of slots: one for each group of the model's channel count."""
        return -(-spec.channels // self.model.inputs)

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """The model's algorithmic latency."""
        return self.model.latency

    def step(self, io: IO) -> Step | None:
        """Step of a block whose answers arrive in time."""
        return self.hop_step(io.audio_in[0], io.audio_out[0])

    def read(self, answer: Samples) -> Samples:
        """Joins the channels of the lanes, without surplus channels of the last."""
        sound: Samples = answer.reshape(-1, answer.shape[-1])[: len(self._sound)]
        return sound
