"""A processor's way to a model: hops are posted, and answers taken `lead` hops later, or never.

For processors that have a grid of their own and their own way with an answer; what a hop and an answer mean
(sound, band levels, gains) is between them and the network. `ModelProcessor` stands on it as well.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from antiphon.contract.block import Samples
from antiphon.contract.processor import IO
from antiphon.native import dsp
from antiphon.runtime import model_files
from antiphon.workers import devices, pool
from antiphon.workers.arena import MAX_DEPTH
from antiphon.workers.dropout_log import DropoutLog
from antiphon.workers.info import ModelInfo
from antiphon.workers.rebuffer import lead_for
from antiphon.workers.spec import WorkerSpec
from antiphon.workers.stream import Stream


class ModelClient:
    """Streams of one model, side by side, as one thing. Made in `prepare`; all but `close` is for the block path.

    lanes: streams of the model.  hop_frames: of the processor's grid, by which hops are numbered.  block: the
    longest there is.  node: the processor's.  lead: hops between a post and its take, as many as a block can hold:
    add `lead * hop_frames` to the latency.  there: whether a worker was asked for; a check has none.
    """

    def __init__(self, model: ModelInfo, lanes: int, hop_frames: int, block: int, node: int) -> None:
        self.lead = lead_for(hop_frames, block)
        self.first = 0
        self._model = model
        self._script = DropoutLog()
        self._answer: Samples = np.zeros((lanes, model.outputs, model.answer or model.hop), np.float32)
        self._answer_at = self._answer.ctypes.data
        self._streams: list[Stream] = []
        here = pool.current()
        if here is not None:
            device = here.device if here.device in model.devices else "cpu"
            asked = with_room(model.worker(device), self.lead)
            try:
                for _ in range(lanes):
                    self._streams.append(here.open(asked, "", node))
            except BaseException:
                self.close()
                raise
        self.there = bool(self._streams)

    def begin(self, hop: int) -> None:
        """The number of the first hop there is, after a reset too."""
        self.first = hop

    def post(self, hop: int, values: Samples, io: IO | None) -> None:
        """Hop `hop` is complete: float32 `[lanes, inputs, hop]` of the model."""
        if not self.there:
            return
        due = self._script.before(hop, self._streams) or hop == self.first
        fresh = [stream.fresh(hop, due or not self._script.away) for stream in self._streams]
        if None in fresh:
            return
        if any(fresh) and not all(fresh):
            # the lanes of one sound begin together
            for stream in self._streams:
                stream.reset()
                stream.fresh(hop)
        if any(fresh) and io is not None:
            self._script.began(hop, self.first, io)
        for stream, part in zip(self._streams, values, strict=True):
            stream.input(hop)[...] = part
            stream.post(hop)

    def take(self, hop: int, io: IO | None) -> Samples | None:
        """The answer to hop `hop`, float32 `[lanes, outputs, answer]` until the next take; None when there is none.

        Hops are asked for in order, each once. An answer that is not finite ends its worker, and counts as none.
        """
        if hop < self.first:
            return None
        absent = self._script.absent(hop)
        there = self.there and not absent
        for lane, stream in enumerate(self._streams):
            given = stream.take(hop, not absent)
            if given is None:
                there = False
            else:
                self._answer[lane] = given
        if there and dsp.peak.call(self._answer_at, self._answer.size, 1, self._answer.size) < 0.0:
            for stream in self._streams:
                stream.blame()
            there = False
        if io is not None:
            self._script.took(hop, there, io)
        return self._answer if there else None

    def reset(self) -> None:
        """Forgets the past from the next hop on; `begin` follows."""
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
        """Gives the streams back. Off the block path."""
        for stream in self._streams:
            stream.close()


def usable(model: ModelInfo) -> str:
    """Why the model cannot run here, in one sentence; "" where its weights and torch are installed."""
    try:
        model_files.entry(model.weights, Path(model.folder) if model.folder else None)
    except model_files.ModelError as error:
        return str(error)
    if devices.installed() is None:
        return f"the model {model.name} needs torch, which is not installed; `make models` installs it"
    return ""


def say_instead(log: logging.Logger, text: str) -> None:
    """Logs what a node does without its model: once in a process, and never where a declaration is only tried.

    So a patch says it once when it plays, and neither lists of plugins nor the trial before that say it as well.
    """
    if not pool.only_tried() and (log.name, text) not in _SAID:
        _SAID.add((log.name, text))
        log.warning("%s", text)


_SAID: set[tuple[str, str]] = set()
"""(logger, text) of this process: as many as there are modes of models."""


def with_room(spec: WorkerSpec, lead: int) -> WorkerSpec:
    """The same worker with rings for as many hops as are under way, and as many again for one that is late."""
    return spec if lead + 2 < spec.depth else replace(spec, depth=min(2 * (lead + 1), max(MAX_DEPTH, lead + 1)))
