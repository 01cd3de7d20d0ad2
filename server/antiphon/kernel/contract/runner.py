"""The host of one processor: prepares it, calls it block by block, and checks its outputs.

The one place where `process` is called. A node (`graph.node_host`), a stream of another rate (`graph.rate_adapter`)
and a test (`contract.harness`) each hold a runner.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.processor import IO, Processor
from antiphon.kernel.errors import PluginError


def _same(frame: int) -> int:
    return frame


class ProcessorRunner:
    """Calls one processor. `call`, `run`, `retry` and `recall` are for the block path."""

    def __init__(self, processor: Processor, rate: int, elapsed: Callable[[int], int] = _same) -> None:
        """Hosts a processor, which need not be prepared yet.

        `rate`: frames per second of the clock of `IO.time`. `elapsed`: frames of that clock from `IO.time` to a frame
        of the block, where the processor has another rate.
        """
        self.processor = processor
        self.rate = rate
        self._elapsed = elapsed

    def prepare(self, spec: StreamSpec) -> None:
        """Prepares the processor, after closing its previous parts. Off the block path.

        Raises PluginError: its latency is no whole number of frames from 0.
        """
        processor = self.processor
        Processor.close(processor)  # not an override, which may require an earlier `prepare`
        processor.prepare(spec)
        frames: object = processor.latency
        if isinstance(frames, bool) or not isinstance(frames, int) or frames < 0:
            raise PluginError(f"its latency is {frames!r}; a whole number of frames from 0 is allowed")

    def call(self, io: IO) -> str:
        """Calls `process` once. Returns the error as a sentence, or ""."""
        wanted = tuple(io.audio_out)
        process: Callable[[IO], object] = self.processor.process
        if process(io) is not None:
            return "process returned something; it must fill io.audio_out and return nothing"
        if len(io.audio_out) != len(wanted):
            return f"changed its outputs: {len(io.audio_out)} instead of {len(wanted)}"
        return self.placed(io.audio_out, wanted)

    def placed(self, given: Sequence[Samples], wanted: Sequence[Samples]) -> str:
        """Copies arrays that the processor put into `audio_out` to the given buffers. Returns an error, or ""."""
        for mine, place in zip(given, wanted, strict=True):
            if mine is not place:
                if mine.shape != place.shape:
                    return f"gave a wrong shape: {list(mine.shape)} instead of {list(place.shape)}"
                place[:] = mine
        return ""

    def run(self, io: IO, cells: Iterable[ParamCell]) -> str:
        """Runs one block, split at unsmoothed parameter changes if the processor has `split`.

        Returns the processor's error, or "". `io` has `base` 0 and is restored afterwards, except for emitted events,
        whose offsets count from its first frame; `cells` are the rendered cells that may change.
        """
        edges = {0, io.frames}
        if self.processor.split:
            for cell in cells:
                edges.update(offset for offset, _ in cell.steps[1:] if offset < io.frames)
        sample, beat = io.time.sample, io.time.beat
        try:
            if len(edges) == 2:
                self._place(io, 0)
                return self.call(io)
            return self._pieces(io, sorted(edges))
        finally:
            io.time.sample, io.time.beat = sample, beat

    def _pieces(self, io: IO, edges: Sequence[int]) -> str:
        whole_in, whole_out, frames, events = io.audio_in, io.audio_out, io.frames, io.events_in
        sample, beat = io.time.sample, io.time.beat
        try:
            for first, last in pairwise(edges):
                io.events_in = [e.moved(-first) for e in events if first <= e.offset < last]
                emitted = len(io.events_out)
                io.audio_in = [x[:, first:last] for x in whole_in]
                io.audio_out = [y[:, first:last] for y in whole_out]
                io.base, io.frames = first, last - first
                io.time.sample, io.time.beat = sample, beat
                self._place(io, first)
                reason = self.call(io)
                if reason:
                    return reason
                for place in range(emitted, len(io.events_out)):
                    io.events_out[place] = io.events_out[place].moved(first)
        finally:
            io.audio_in, io.audio_out, io.base, io.frames, io.events_in = whole_in, whole_out, 0, frames, events
        return ""

    def _place(self, io: IO, frame: int) -> None:
        """Sets the block's time to one of its frames."""
        time, elapsed = io.time, self._elapsed(frame)
        time.sample += elapsed
        time.beat += elapsed / self.rate * time.tempo / 60.0 * time.playing

    def retry(self) -> None:
        """Calls `retry` of the processor's parts."""
        for part in self.processor.parts:
            part.retry()

    def recall(self, kind: str, number: int) -> None:
        """Calls `recall` of the processor's parts, with a mark of the coming block."""
        for part in self.processor.parts:
            part.recall(kind, number)

    def standing(self) -> list[tuple[str, int]]:
        """Marks that a log beginning with the coming block has to start with."""
        return [mark for part in self.processor.parts for mark in part.standing()]
