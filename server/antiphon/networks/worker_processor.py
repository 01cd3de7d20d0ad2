"""The base class of processors that compute in a worker: sound goes to it in hops, answers return, dropouts fade.

Its streams through one worker are a `WorkerClient`, which posts hops and takes their answers `lead` hops later. Missing
answers are written to the session log, and repeated in a replay.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import IO, BlockTime, Processor, ProcessorPart
from antiphon.kernel.workers.arena import MAX_DEPTH
from antiphon.kernel.workers.pool import HopStart, WorkerStream
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.native import dsp
from antiphon.native.dsp import ring_read, ring_write
from antiphon.native.kernel import Step
from antiphon.networks import lockstep
from antiphon.networks.hop_kernels import DryHops, HopGrid, HopSounds, hops_rest, play_hops
from antiphon.networks.rebuffer import DropoutFader, DropoutLog, Rebuffer, lead_for
from antiphon.signal.listening_mix import ListeningMix


class WorkerClient(ProcessorPart):
    """A processor's streams through one worker, side by side, for processors with their own hop grid.

    Created in `prepare`. All methods but `close` are for the block path.

    Attributes:
        lead: Hops from a `post` to its `take`.
        first: Number of the first hop since the start or `reset`.
        answer: Of the last hop that was taken, float32 `[lanes, *outputs]`.
        there: Whether there are streams; there are none where a declaration is only checked.
    """

    def __init__(self, spec: WorkerSpec, lanes: int, lead: int, node: int, config: Callable[[], str] = str) -> None:
        """Opens the streams.

        `lead`: hops between a post and its take; the rings have room for as many. `config`: returns the streams'
        settings text for the worker; not called in a check, which has no workers. Raises WorkerError: the worker does
        not start, or there is no free slot.
        """
        self.lead = lead
        self.first = 0
        self.log = DropoutLog()
        self.answer: Samples = np.zeros((lanes, *spec.outputs), np.float32)
        self._answer_at = self.answer.ctypes.data
        self.streams: list[WorkerStream] = []
        here = lockstep.current()
        if here is not None:
            worker, text = with_ring_space(spec, lead), config()
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
        """Determines, before a hop is posted, whether it continues the epoch.

        Returns whether it does, or the worker begins from its initial state, or there is no worker.
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

        Returns float32 `[lanes, *outputs]`, valid until the next `take`; None if it is late, or is not finite, which
        also ends its worker.
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


def with_ring_space(spec: WorkerSpec, lead: int) -> WorkerSpec:
    """Returns the spec with rings for `lead` hops in progress, and as many again for late answers."""
    return spec if lead + 2 < spec.depth else replace(spec, depth=min(2 * (lead + 1), max(MAX_DEPTH, lead + 1)))


def convert_channels(given: Samples, into: Samples) -> None:
    """Converts sound to another number of channels.

    Mono goes to all channels, several channels are averaged to one; otherwise surplus channels are dropped, and missing
    channels are silent. `given`: float32 `[any, frames]`. `into`: float32 `[channels, frames]`, written.
    """
    have, want = given.shape[0], into.shape[0]
    if have == 1 or have == want:
        into[:] = given
    elif want == 1:
        np.add(given[0], given[1], out=into[0])
        for row in given[2:]:
            np.add(into[0], row, out=into[0])
        np.multiply(into[0], np.float32(1.0 / have), out=into[0])
    else:
        both = min(have, want)
        into[:both] = given[:both]
        into[both:] = 0.0


_NOTHING: Samples = np.zeros(0, np.float32)
_NO_SOUND: Samples = np.zeros((0, 0), np.float32)


class WorkerProcessor(Processor):
    """Processor with one audio output, and at most one audio input, computed in a worker.

    Subclasses define `worker`; `write` if a hop is not the input sound, `config` if the worker needs settings of the
    stream, `begin` if the worker needs history at its start. At a dropout the node fades in 10 ms to the dry sound,
    delayed by the node's latency, or to silence if the input does not have as many channels.
    """

    @abstractmethod
    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the worker. Its outputs are `[channels, hop]`, spread over the node's channels."""

    def config(self) -> str:
        """Returns the stream's settings text for the worker, also after a restart. Called only if there are workers."""
        return ""

    def begin(self, hop: int) -> None:
        """Prepares for a worker that begins with an initial state. On the block path."""

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes a hop's data for the worker into `into`. On the block path.

        `hop`: number of the hop, which begins at `hop` × its length on the sample clock. `sound`: the input, float32
        `[channels, frames]`; no channels without an input. `into`: float32 `[lanes, *inputs]`, with the contents of the
        last hop.
        """
        if len(sound):
            into.reshape(-1, sound.shape[1])[: len(sound)] = sound

    def read(self, answer: Samples) -> Samples:
        """Converts an answer, float32 `[lanes, *outputs]`, to sound, float32 `[any, frames]`. On the block path."""
        sound: Samples = answer[0]
        return sound

    def lanes(self, spec: StreamSpec) -> int:
        """Number of parallel streams that the node needs; 1 unless overridden."""
        return 1

    def lead(self, spec: StreamSpec, hop: int) -> int:
        """Hops between the end of a hop and the beginning of the worker's answer."""
        return lead_for(hop, spec.block)

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """Frames by which the worker's answers lag behind their hops; 0 unless overridden."""
        return 0

    def dry(self, inputs: int, outputs: int) -> bool:
        """True if dropouts are replaced by the input sound. Called after `worker`.

        `inputs`: channels of the audio input, 0 without one. Returns True if input and output have as many channels,
        unless overridden; False for silence.
        """
        return inputs == outputs

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the streams and allocates every buffer."""
        worker = self.worker(spec)
        inputs, channels = (
            next((port.channels or spec.channels for port in ports if port.signal), 0)
            for ports in (self.inputs, self.outputs)
        )
        lanes, lead = self.lanes(spec), self.lead(spec, worker.hop)
        self.client = WorkerClient(worker, lanes, lead, self.node, self.config)
        self.parts = self.client.parts
        self.hops = Rebuffer(worker.hop, lead, inputs, channels, self.post, self.load)
        self.latency = self.hops.latency + self.behind(spec, worker.hop)
        dry = self.dry(inputs, channels)
        self._fader = DropoutFader(channels, worker.hop, spec.rate)
        self._sent: Samples = np.zeros((lanes, *worker.inputs), np.float32)
        self._sound: Samples = np.zeros((channels, worker.hop), np.float32)
        # no channels without a dry sound
        sounds, hop = channels if dry else 0, worker.hop
        self._past: Samples = np.zeros((sounds, -(-(self.latency + hop) // hop) * hop), np.float32)
        self._past_at = np.zeros(1, np.int64)
        self._dry: Samples = np.zeros((sounds, hop), np.float32)
        self._keep, self._recall = ring_write.caller(), ring_read.caller()
        self._lanes: NDArray[np.int64] | None = None
        self._io = IO((), (), {}, BlockTime())

    def process(self, io: IO) -> None:
        """Posts completed hops, and plays the answers.

        Overrides find the block's position on the hop grid in `self.hops`.
        """
        self._io = io
        self.hops.run(io, io.audio_in[0] if io.audio_in else None, io.audio_out[0])

    def post(self, hop: int, sound: Samples) -> None:
        """Writes and posts a hop of float32 `[channels, frames]`, if there is a worker. On the block path."""
        if len(self._past):
            self._keep(sound, self._past, self._past_at, self.hops.hop)
        client = self.client
        client.first = self.hops.first
        start = client.start(hop, self._io)
        if start is HopStart.NO_WORKER:
            return
        if start is HopStart.BEGINS:
            self.begin(hop)
        self.write(hop, sound, self._sent)
        client.post(hop, self._sent)

    def load(self, hop: int, out: Samples) -> None:
        """Loads a hop's answer, with a fade at dropouts, into float32 `[channels, frames]`. On the block path."""
        if hop < self.hops.first:
            out.fill(0.0)
            return
        answer = self.client.take(hop, self._io)
        if len(self._past):
            self._recall(self._past, self._dry, self._past_at, self.latency, self.hops.hop)
        sound = None if answer is None else self.read(answer)
        if sound is not None and sound.shape != out.shape:
            convert_channels(sound, self._sound)
            sound = self._sound
        self._fader.play(sound, self._dry if len(self._dry) else None, out)

    def hop_step(self, x: Samples | None, y: Samples, head: Samples = _NOTHING) -> Step | None:
        """Step of a block while the worker answers in time, for a `read` that returns rows of the answer unchanged.

        `x`: the audio input of a block; None without one. `head`: data of each stream's hop after its channels of
        sound, float32. Returns the step, which leaves all other blocks to `process`; None if all blocks are left to it.
        """
        client, hops, fader = self.client, self.hops, self._fader
        if not client.there or client.streams[0].lockstep or self.read(client.answer).shape != hops.playing.shape:
            return None
        if hops.begun and not (client.answers and fader.rests):
            return None  # it is asked again after each block
        if self._lanes is None:
            self._lanes = np.stack([stream.lane for stream in client.streams])
        lanes, count, given = self._lanes, len(self._lanes), _NO_SOUND if x is None else x
        there = hops_rest.step(hops.words, fader.words, lanes, count, hops.hop, hops.lead, fader.fade, y.shape[1])
        grid = HopGrid(hops.words, lanes, count, hops.lead)
        sounds = HopSounds(hops.filling, hops.playing, fader.tail, fader.dry_tail)
        dry = DryHops(self._past, self._dry, self._past_at, self.latency)
        play = play_hops.step(grid, given, y, sounds, dry, head, head.size)
        return play.provided(there)

    def reset(self) -> None:
        """Resets the stream; the worker begins with an initial state at the next hop."""
        self.hops.clear()
        self._fader.clear()
        self._past.fill(0.0)
        self.client.reset()


# ---- Base class of analysis processors: audio passes unchanged, a worker reports readonly values


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
        """Passes each stream its hop, with the arguments of `Stepper.step`.

        `hops`: `[slots]`: each slot's hop number on the sample clock, or -1 without one. `x`: float32 `[slots,
        *inputs]`. `y`: float32 `[slots, *outputs]`, to be filled in rows with a hop.
        """
        for slot in np.flatnonzero(hops >= 0).tolist():
            self._streams[slot].step(int(hops[slot]), x[slot], y[slot])


class RecentSound(ABC):
    """Last seconds of a mono stream, analysed at intervals.

    `frames`: maximum frames kept. `every`: hops between analyses. `sound`: the kept samples, float32 `[frames]`.
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
    """Passes audio bit-exact without latency; the worker gets the channels mixed, and answers with numbers.

    `reports`: read-only parameters in the order of an answer, each with its initial value.
    """

    reports: ClassVar[Mapping[str, float]]

    def answering(self, name: str, factory: str, spec: StreamSpec, seconds: float, *, slots: int) -> WorkerSpec:
        """Spec of a worker that gets hops as mono and answers with the reports. `seconds`: length of a hop."""
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
        """Takes the answer to a hop, if there is one, as the values to report."""
        if hop >= self.hops.first:
            answer = self.client.take(hop, self._io)
            if answer is not None:
                self._found[:] = answer[0, 0]

    def reset(self) -> None:
        """Resets the reported values to their initial ones."""
        super().reset()
        self._found[:] = self._before
