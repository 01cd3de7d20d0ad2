"""A processor whose sound goes through a streaming model in a worker.

    class Model(ModelProcessor):
        model = REFERENCE

is a whole plugin: rebuffering, one hop for the worker, the dry sound when an answer is not there.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.processor import IO, Processor
from antiphon.errors import PluginError
from antiphon.workers.dropout_fader import DropoutFader
from antiphon.workers.info import ModelInfo
from antiphon.workers.model_client import ModelClient
from antiphon.workers.rebuffer import Rebuffer


class ModelProcessor(Processor):
    """A processor whose sound goes through a streaming model in a worker; the host adapts the rate.

        class Leveller(ModelProcessor):
            model = LEVELLER
            rate = LEVELLER.rate

    is all of a processor. A model of fewer channels than the stream gets a slot for each group of channels. Where an
    answer is missing, the node fades to the dry sound, delayed by its latency, and back, in 10 ms.

    Attributes:
        model: The model; it has as many inputs as outputs, and answers a hop with as many frames.
    """

    model: ClassVar[ModelInfo]

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the model's streams and makes all buffers.

        Args:
            spec: Rate, block and channels of the stream.

        Raises:
            PluginError: The model is not sound in, sound out, or its rate is not the stream's.
            WorkerError: The worker cannot be had.
        """
        model = self.model
        if model.inputs != model.outputs:
            raise PluginError(f"{model.name} has {model.inputs} channels in and {model.outputs} out; write a processor")
        if model.answer not in (0, model.hop):
            raise PluginError(f"{model.name} answers {model.hop} frames with {model.answer}; write a processor")
        if spec.rate != model.rate:
            raise PluginError(f"{model.name} runs at {model.rate} Hz; set the processor's rate to it")
        channels, hop = spec.channels, model.hop
        lanes = -(-channels // model.inputs)
        self.close()
        self._line = ModelClient(model, lanes, hop, spec.block, self.node)
        self._hops = Rebuffer(hop, self._line.lead, channels, channels, self._post, self._load)
        self.latency = self._hops.latency + model.latency
        self._presence = DropoutFader(channels, hop, spec.rate)
        self._sent: Samples = np.zeros((lanes, model.inputs, hop), np.float32)
        self._dry: Samples = np.zeros((channels, hop), np.float32)
        self._past = _Past(channels, hop, self.latency)
        self._io: IO | None = None

    def process(self, io: IO) -> None:
        """Posts the hops that become complete, and plays the answers.

        Args:
            io: The block.
        """
        self._io = io
        self._hops.run(io, io.audio_in[0], io.audio_out[0])

    def _post(self, hop: int, sound: Samples) -> None:
        self._past.push(sound)
        self._line.first = self._hops.first
        self._sent.reshape(-1, self._hops.hop)[: len(sound)] = sound
        self._line.post(hop, self._sent, self._io)

    def _load(self, hop: int, out: Samples) -> None:
        if hop < self._hops.first:
            out.fill(0.0)
            return
        given = self._line.take(hop, self._io)
        self._past.read(self._dry)
        answer = None if given is None else given.reshape(-1, self._hops.hop)[: out.shape[0]]
        self._presence.play(answer, self._dry, out)

    def reset(self) -> None:
        """Forgets the past."""
        self._hops.clear()
        self._presence.clear()
        self._past.clear()
        self._line.reset()

    def retry(self) -> None:
        """Has a worker started again that was given up."""
        self._line.retry()

    def recall(self, kind: str, hop: int) -> None:
        """Repeats a dropout of the set that is replayed.

        Args:
            kind: The word that was marked.
            hop: The hop it belongs to.
        """
        self._line.recall(kind, hop)

    def standing(self) -> list[tuple[str, int]]:
        """Lists the dropouts that are in force.

        Returns:
            Kind and number of each mark.
        """
        return self._line.standing()

    def close(self) -> None:
        """Releases the model's streams."""
        line = getattr(self, "_line", None)
        if line is not None:
            line.close()


class _Past:
    """The sound that went in, read again `latency` frames after it came."""

    def __init__(self, channels: int, hop: int, latency: int) -> None:
        self._size = -(-(latency + hop) // hop) * hop
        self._ring: Samples = np.zeros((channels, self._size), np.float32)
        self._hop, self._latency, self._at = hop, latency, 0

    def push(self, sound: Samples) -> None:
        self._ring[:, self._at : self._at + self._hop] = sound
        self._at = (self._at + self._hop) % self._size

    def read(self, out: Samples) -> None:
        """The hop that belongs beside the hop being filled now."""
        start = (self._at - self._latency) % self._size
        count = min(self._hop, self._size - start)
        out[:, :count] = self._ring[:, start : start + count]
        out[:, count:] = self._ring[:, : self._hop - count]

    def clear(self) -> None:
        self._ring.fill(0.0)
