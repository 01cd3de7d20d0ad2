"""A processor's streams through one worker: posts hops, and takes their answers `lead` hops later.

Missing answers are written into the session log, and repeated in a replay.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.processor import IO, ProcessorPart
from antiphon.kernel.native import dsp
from antiphon.kernel.workers import pool
from antiphon.kernel.workers.arena import MAX_DEPTH
from antiphon.kernel.workers.dropout_fader import DropoutLog
from antiphon.kernel.workers.pool import HopStart, Stream
from antiphon.kernel.workers.spec import WorkerSpec


def _no_config() -> str:
    return ""


class WorkerClient(ProcessorPart):
    """A processor's streams through one worker, side by side, for processors that have a hop grid of their own.

    Created in `prepare`. All methods but `close` are for the block path.

    Attributes:
        lead: Hops from a `post` to its `take`.
        first: Number of the first hop since the start or `reset`.
        answer: Of the last hop that was taken, float32 `[lanes, *outputs]`.
        there: Whether there are streams; there are none where a declaration is only checked.
    """

    def __init__(
        self, spec: WorkerSpec, lanes: int, lead: int, node: int, config: Callable[[], str] = _no_config
    ) -> None:
        """Opens the streams.

        `lead`: hops between a post and its take; room for as many is made in the rings. `config`: gives the streams'
        own text for the worker; not called in a check, which has no workers. Raises WorkerError: the worker does not
        start, or there is no place for it.
        """
        self.lead = lead
        self.first = 0
        self.log = DropoutLog()
        self.answer: Samples = np.zeros((lanes, *spec.outputs), np.float32)
        self._answer_at = self.answer.ctypes.data
        self.streams: list[Stream] = []
        here = pool.current()
        if here is not None:
            worker, text = with_room(spec, lead), config()
            try:
                for _ in range(lanes):
                    self.streams.append(here.open(worker, text, node))
            except BaseException:
                self.close()
                raise
        self.there = bool(self.streams)

    @property
    def parts(self) -> tuple[ProcessorPart, ...]:
        """The streams and their log, for `Processor.parts`."""
        return self, self.log

    @property
    def answers(self) -> bool:
        """True if all workers run, and their last answers arrived."""
        return all(stream.answers for stream in self.streams)

    def begin(self, hop: int) -> None:
        """Sets the first hop, at the start and after `reset`."""
        self.first = hop

    def start(self, hop: int, io: IO) -> HopStart:
        """Decides, before a hop is posted, whether it continues the epoch.

        Returns whether it does, or the worker begins without a past, or there is none.
        """
        if not self.there:
            return HopStart.NO_WORKER
        due = self.log.before(hop, self.streams) or hop == self.first
        starts = [stream.start(hop, due or not self.log.away) for stream in self.streams]
        if HopStart.NO_WORKER in starts:
            return HopStart.NO_WORKER
        if HopStart.BEGINS not in starts:
            return HopStart.CONTINUES
        if HopStart.CONTINUES in starts:
            # the lanes of one sound begin together
            for stream in self.streams:
                stream.reset()
                stream.start(hop)
        self.log.began(hop, self.first, io)
        return HopStart.BEGINS

    def post(self, hop: int, values: Samples) -> None:
        """Posts a started hop. `values`: float32 `[lanes, *inputs]`."""
        for stream, part in zip(self.streams, values, strict=True):
            stream.input(hop)[...] = part
            stream.post(hop)

    def send(self, hop: int, values: Samples, io: IO) -> None:
        """Starts and posts a hop, if there is a worker. `values`: float32 `[lanes, *inputs]`."""
        if self.start(hop, io) is not HopStart.NO_WORKER:
            self.post(hop, values)

    def take(self, hop: int, io: IO) -> Samples | None:
        """Returns the answer to a hop. Hops are requested in order, each once.

        Returns float32 `[lanes, *outputs]`, valid until the next `take`; None where it is not there in time, or is not
        finite, which also ends its worker.
        """
        if hop < self.first or not self.there:
            return None
        absent = self.log.absent(hop)
        there = not absent
        for lane, stream in enumerate(self.streams):
            answer = stream.take(hop, not absent)
            if answer is None:
                there = False
            else:
                self.answer[lane] = answer
        if there and dsp.peak.call(self._answer_at, self.answer.size, 1, self.answer.size) < 0.0:
            for stream in self.streams:
                stream.blame()
            there = False
        self.log.took(hop, there, io)
        return self.answer if there else None

    def reset(self) -> None:
        """Resets the state from the next hop on; `begin` follows."""
        for stream in self.streams:
            stream.reset()

    def retry(self) -> None:
        """Requests a start of a permanently failed worker."""
        for stream in self.streams:
            stream.retry()

    def close(self) -> None:
        """Releases the streams. Off the block path."""
        for stream in self.streams:
            stream.close()


def with_room(spec: WorkerSpec, lead: int) -> WorkerSpec:
    """The same worker with rings for `lead` hops in progress, and as many again for late answers."""
    return spec if lead + 2 < spec.depth else replace(spec, depth=min(2 * (lead + 1), max(MAX_DEPTH, lead + 1)))
