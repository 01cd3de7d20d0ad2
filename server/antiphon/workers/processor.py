"""A processor whose sound goes through a streaming model in a worker.

    class Model(ModelProcessor):
        model = REFERENCE

is a whole plugin: rebuffering, one hop for the worker, the dry sound when an answer is not there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.errors import PluginError
from antiphon.native import dsp
from antiphon.processor import IO, Processor
from antiphon.workers import pool
from antiphon.workers.arena import MAX_DEPTH
from antiphon.workers.hops import Hops, lead_for
from antiphon.workers.info import ModelInfo
from antiphon.workers.presence import Presence
from antiphon.workers.script import Script
from antiphon.workers.spec import WorkerSpec
from antiphon.workers.stream import Stream


class ModelProcessor(Processor):
    """Sound → sound by `model`, at the model's rate; the host adapts the stream.

    A model of fewer channels than the stream gets a slot for each group of its channels. While an answer is
    missing the node is heard dry, delayed by its latency, over a 10 ms equal-power fade.
    """

    model: ClassVar[ModelInfo]

    def prepare(self, spec: StreamSpec) -> None:
        model = self.model
        if model.inputs != model.outputs:
            raise PluginError(f"{model.name} has {model.inputs} channels in and {model.outputs} out; write a processor")
        if spec.rate != model.rate:
            raise PluginError(f"{model.name} runs at {model.rate} Hz; set the processor's rate to it")
        channels, hop = spec.channels, model.hop
        lanes = -(-channels // model.inputs)
        self.close()
        self._hops = Hops(hop, lead_for(hop, spec.block), channels, channels, self._post, self._load)
        self.latency = self._hops.latency + model.latency
        self._presence = Presence(channels, hop, spec.rate)
        self._answer: Samples = np.zeros((lanes * model.outputs, hop), np.float32)
        self._answer_at = self._answer.ctypes.data
        self._dry: Samples = np.zeros((channels, hop), np.float32)
        self._past = _Past(channels, hop, self.latency)
        self._script = Script()
        self._io: IO | None = None
        here = pool.current()
        self._streams: list[Stream] = []
        if here is not None:
            asked = with_room(model.worker(here.device if here.device in model.devices else "cpu"), self._hops.lead)
            for _ in range(lanes):
                self._streams.append(here.open(asked, "", self.node))

    def process(self, io: IO) -> None:
        self._io = io
        self._hops.run(io, io.audio_in[0], io.audio_out[0])

    def _post(self, hop: int, sound: Samples) -> None:
        self._past.push(sound)
        due = self._script.before(hop, self._streams) or hop == self._hops.first
        fresh = [stream.fresh(hop, due or not self._script.away) for stream in self._streams]
        if None in fresh:
            return
        if any(fresh) and not all(fresh):
            # the lanes of one sound begin together
            for stream in self._streams:
                stream.reset()
                stream.fresh(hop)
        if any(fresh) and self._io is not None:
            self._script.began(hop, self._hops.first, self._io)
        count = self.model.inputs
        for lane, stream in enumerate(self._streams):
            into = stream.input(hop)
            part = sound[lane * count : (lane + 1) * count]
            into[: len(part)] = part
            into[len(part) :] = 0.0
            stream.post(hop)

    def _load(self, hop: int, out: Samples) -> None:
        if hop < self._hops.first:
            out.fill(0.0)
            return
        there = self._take(hop)
        if self._io is not None:
            self._script.took(hop, there, self._io)
        self._past.read(self._dry)
        channels = out.shape[0]
        self._presence.play(self._answer[:channels] if there else None, self._dry, out)

    def _take(self, hop: int) -> bool:
        count, absent = self.model.outputs, self._script.absent(hop)
        there = bool(self._streams) and not absent
        for lane, stream in enumerate(self._streams):
            given = stream.take(hop, not absent)
            if given is None:
                there = False
            else:
                self._answer[lane * count : (lane + 1) * count] = given
        if there and dsp.peak.call(self._answer_at, self._answer.shape[1], self._answer.shape[0], self._hops.hop) < 0.0:
            for stream in self._streams:
                stream.blame()
            return False
        return there

    def reset(self) -> None:
        self._hops.clear()
        self._presence.clear()
        self._past.clear()
        for stream in self._streams:
            stream.reset()

    def retry(self) -> None:
        for stream in self._streams:
            stream.retry()

    def recall(self, kind: str, hop: int) -> None:
        self._script.recall(kind, hop)

    def standing(self) -> list[tuple[str, int]]:
        return self._script.standing()

    def close(self) -> None:
        for stream in getattr(self, "_streams", []):
            stream.close()


def with_room(spec: WorkerSpec, lead: int) -> WorkerSpec:
    """The same worker with rings for as many hops as are under way, and as many again for one that is late."""
    return spec if lead + 2 < spec.depth else replace(spec, depth=min(2 * (lead + 1), max(MAX_DEPTH, lead + 1)))


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
