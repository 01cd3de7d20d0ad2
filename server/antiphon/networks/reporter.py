"""Base class of analysis processors: audio passes unchanged, a worker reports readonly values."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.networks.worker_processor import WorkerProcessor
from antiphon.signal.listening_mix import ListeningMix


class ReportedStream(Protocol):
    """Analysis state of one stream."""

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the report at its end into `into`."""


StreamOf = TypeVar("StreamOf", bound=ReportedStream)


class ReportingStepper(ABC, Generic[StreamOf]):
    """`Stepper` with an independent stream per slot."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self._streams: dict[int, StreamOf] = {}

    @abstractmethod
    def stream(self, config: str) -> StreamOf:
        """Creates a stream with an initial state."""

    def warm(self) -> None:
        """No operation: no step is slower than the first."""

    def open(self, slot: int, config: str) -> None:
        """Opens a stream with an initial state."""
        self._streams[slot] = self.stream(config)

    def close(self, slot: int) -> None:
        """Ends a stream."""
        self._streams.pop(slot, None)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Passes each stream its hop, as `Stepper.step`.

        `hops`: `[slots]`: each slot's hop number on the sample clock, or -1 where it has none. `x`: float32 `[slots,
        *inputs]`. `y`: float32 `[slots, *outputs]`, to be filled in rows with a hop.
        """
        for slot in np.flatnonzero(hops >= 0).tolist():
            self._streams[slot].step(int(hops[slot]), x[slot], y[slot])


class RecentSound(ABC):
    """Last seconds of a mono stream, analysed at intervals.

    `frames`: frames of it that are held, at most. `every`: hops from one look to the next. `sound`: the held samples,
    float32 `[frames]`.
    """

    every = 2

    def __init__(self, *, rate: int, wanted: int, frames: int) -> None:
        import soxr

        self._resampled = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
        self._wanted, self._most = wanted, frames
        self.sound: Samples = np.zeros(0, np.float32)
        self.seconds = 0.0

    @abstractmethod
    def look(self) -> None:
        """Analyses `sound`."""

    @abstractmethod
    def answer(self) -> Sequence[float]:
        """Returns the newest report, numbers in the order of the node's `reports`."""

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the newest report into `into`.

        `hop`: its number on the sample clock. `sound`: float32 `[1, frames]` at the stream's rate. `into`: float32 `[1,
        numbers]`, to be filled.
        """
        new = self._resampled.resample_chunk(sound[0])
        self.sound = np.concatenate([self.sound, new])[-self._most :]
        self.seconds += len(new) / self._wanted
        if hop % self.every == 0:
            self.look()
        into[0] = self.answer()


class WorkerReporter(WorkerProcessor):
    """Passes audio bit-exact without latency; the worker gets the mix of the channels, and answers with numbers.

    `reports`: by `readonly` parameter, in the order of an answer, its number before there is one.
    """

    reports: ClassVar[Mapping[str, float]]

    def answering(self, name: str, factory: str, spec: StreamSpec, seconds: float, *, slots: int) -> WorkerSpec:
        """Spec of a worker that gets a hop as mono and answers with the reports. `seconds`: length of a hop."""
        hop = round(seconds * spec.rate)
        return WorkerSpec(
            name=name,
            factory=factory,
            zygote="none",
            hop=hop,
            rate=spec.rate,
            inputs=(1, hop),
            outputs=(1, len(self.reports)),
            slots=slots,
            memory=1024,
        )

    def dry(self, inputs: int, outputs: int) -> bool:
        """False: audio passes whatever the worker does, so there is no dry replacement."""
        return False

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the stream and allocates every buffer."""
        super().prepare(spec)
        self.latency = 0
        self._mix = ListeningMix.live(spec.rate)
        self._unused: Samples = np.zeros((spec.channels, spec.block), np.float32)
        self._before: Samples = np.array(list(self.reports.values()), np.float32)
        self._found: Samples = self._before.copy()

    def process(self, io: IO) -> None:
        """Passes a block, and reports the last answer."""
        io.audio_out[0][:] = io.audio_in[0]
        self._io = io
        self.hops.run(io, io.audio_in[0], self._unused[:, : io.frames])
        for place, name in enumerate(self.reports):
            io.report(name, float(self._found[place]))

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes the channels as mono into `into`."""
        self._mix.take(sound, into[0, 0])

    def load(self, hop: int, out: Samples) -> None:
        """Stores the answer to a hop, if there is one."""
        if hop >= self.hops.first:
            answer = self.client.take(hop, self._io)
            if answer is not None:
                self._found[:] = answer[0, 0]

    def reset(self) -> None:
        """Resets the reported values to their initial ones."""
        super().reset()
        self._found[:] = self._before
