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
    """A processor's streams of one model, for processors that have a hop grid of their own.

    Made in `prepare`. All methods but `close` are for the block path. What a hop and an answer mean (sound, band
    levels, gains) is between processor and network. For sound in, sound out there is `ModelProcessor`.

    Args:
        model: The model.
        lanes: Streams side by side, a slot each.
        hop_frames: Frames of the processor's hop grid, by which hops are numbered.
        block: Frames of the longest block.
        node: The processor's `node`.

    Attributes:
        lead: Hops from a `post` to its `take`: `lead * hop_frames` belongs into the latency.
        first: The first hop there is.
        there: Whether a worker was asked for; where a declaration is only checked there is none.

    Raises:
        WorkerError: The worker cannot be had.
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
        """Sets the first hop there is, at the start and after `reset`.

        Args:
            hop: Its number.
        """
        self.first = hop

    def post(self, hop: int, values: Samples, io: IO | None) -> None:
        """Posts a hop that is complete.

        Args:
            hop: Its number.
            values: float32 `[lanes, inputs, hop]` of the model.
            io: Of the block, for marks in the session log; None for no marks.
        """
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
        """Takes the answer to a hop. Hops are asked for in order, each once.

        Args:
            hop: Its number.
            io: Of the block, for marks in the session log; None for no marks.

        Returns:
            float32 `[lanes, outputs, answer]`, valid until the next `take`; None where it is not there in time, or is
            not finite, which also ends its worker.
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
        """Has a worker started again that was given up. For `Processor.retry`."""
        for stream in self._streams:
            stream.retry()

    def recall(self, kind: str, hop: int) -> None:
        """Takes a mark of the session log that is replayed. For `Processor.recall`.

        Args:
            kind: The word that was marked.
            hop: The hop it belongs to.
        """
        self._script.recall(kind, hop)

    def standing(self) -> list[tuple[str, int]]:
        """Lists the marks that a log which begins now needs first. For `Processor.standing`.

        Returns:
            Kind and number of each.
        """
        return self._script.standing()

    def close(self) -> None:
        """Releases the streams. Off the block path."""
        for stream in self._streams:
            stream.close()


def usable(model: ModelInfo) -> str:
    """Finds out why a model cannot run here.

    Args:
        model: The model.

    Returns:
        One sentence; "" where its weights and torch are installed.
    """
    try:
        model_files.entry(model.weights, Path(model.folder) if model.folder else None)
    except model_files.ModelError as error:
        return str(error)
    if devices.installed() is None:
        return f"the model {model.name} needs torch, which is not installed; `make models` installs it"
    return ""


def say_instead(log: logging.Logger, text: str) -> None:
    """Warns of what a node does without its model: once in a process, and never where a declaration is only checked.

    Args:
        log: The plugin's logger.
        text: The sentence.
    """
    if not pool.only_tried() and (log.name, text) not in _SAID:
        _SAID.add((log.name, text))
        log.warning("%s", text)


_SAID: set[tuple[str, str]] = set()
"""(logger, text) of this process: as many as there are modes of models."""


def with_room(spec: WorkerSpec, lead: int) -> WorkerSpec:
    """The same worker with rings for as many hops as are under way, and as many again for one that is late."""
    return spec if lead + 2 < spec.depth else replace(spec, depth=min(2 * (lead + 1), max(MAX_DEPTH, lead + 1)))
