"""The base class of processors of sound through a streaming model."""

from __future__ import annotations

from typing import ClassVar

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.errors import PluginError
from antiphon.kernel.native.step import Step
from antiphon.kernel.workers.processor import WorkerProcessor
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.networks.info import ModelInfo
from antiphon.networks.model_client import worker_of


class ModelProcessor(WorkerProcessor):
    """Processor of sound through a streaming model in a worker; the host adapts the rate.

        class Leveller(ModelProcessor):
            model = LEVELLER
            rate = LEVELLER.rate

    is a complete processor. A model of fewer channels than the stream gets a slot for each group of channels. `model`:
    the model; it has as many inputs as outputs, and answers a hop with as many frames.
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
        """Joins the lanes' channels, without the last lane's surplus ones."""
        sound: Samples = answer.reshape(-1, answer.shape[-1])[: len(self._sound)]
        return sound
