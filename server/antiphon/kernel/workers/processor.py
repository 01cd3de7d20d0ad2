"""The base class of processors that compute in a worker: sound in hops to it, its answers back, fades at dropouts."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec, convert_channels
from antiphon.kernel.contract.processor import IO, BlockTime, Processor
from antiphon.kernel.native.dsp import ring_read, ring_write
from antiphon.kernel.native.step import Step
from antiphon.kernel.workers.dropout_fader import DropoutFader
from antiphon.kernel.workers.hop_kernels import DryHops, HopGrid, HopSounds, hops_rest, play_hops
from antiphon.kernel.workers.pool import HopStart
from antiphon.kernel.workers.rebuffer import Rebuffer, lead_for
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.kernel.workers.worker_client import WorkerClient

_NOTHING: Samples = np.zeros(0, np.float32)
_NO_SOUND: Samples = np.zeros((0, 0), np.float32)


class WorkerProcessor(Processor):
    """Processor with one audio output, and at most one audio input, computed in a worker.

    Subclasses define `worker`; `write` if a hop is not the input sound, `config` if the worker needs settings of the
    stream, `begin` if it needs history when it begins. At a dropout the node fades in 10 ms to the dry sound, delayed
    by its latency; to silence if it has no input of as many channels.
    """

    @abstractmethod
    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the worker. Its outputs are `[channels, hop]`, spread over the node's channels."""

    def config(self) -> str:
        """Stream's own text for the worker, also after a restart. Called only with workers available."""
        return ""

    def begin(self, hop: int) -> None:
        """Prepares for a worker that begins with an initial state. On the block path."""

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes a hop's data for the worker into `into`. On the block path.

        `hop`: number of the hop; its first frame is sample `hop` × its frames of the clock. `sound`: what came in,
        float32 `[channels, frames]`; no channels where there is no input. `into`: float32 `[lanes, *inputs]`, with what
        it held at the last hop.
        """
        if len(sound):
            into.reshape(-1, sound.shape[1])[: len(sound)] = sound

    def read(self, answer: Samples) -> Samples:
        """Sound, float32 `[any, frames]`, of an answer, float32 `[lanes, *outputs]`. On the block path."""
        sound: Samples = answer[0]
        return sound

    def lanes(self, spec: StreamSpec) -> int:
        """Number of parallel streams the node needs. Returns their number; 1 unless overridden."""
        return 1

    def lead(self, spec: StreamSpec, hop: int) -> int:
        """Hops between the end of a hop and the beginning of the worker's answer."""
        return lead_for(hop, spec.block)

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """Frames by which the worker's answers lag behind their hops; 0 unless overridden."""
        return 0

    def dry(self, inputs: int, outputs: int) -> bool:
        """True if dropouts are replaced by the input sound. Called after `worker`.

        `inputs`: channels of the audio input, 0 without one. Returns True where they are as many, unless overridden;
        False for silence.
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
        """Step of a block while the worker answers in time, for a `read` that returns rows of the answer as is.

        `x`: the audio input of a block; None without one. `head`: what each stream gets of a hop after its channels of
        the sound, float32. Returns the step, which leaves to `process` every block that is
        not like this; None where all are.
        """
        client, hops, fader = self.client, self.hops, self._fader
        if not client.there or client.streams[0].lockstep or self.read(client.answer).shape != hops.playing.shape:
            return None
        if hops.begun and not (client.answers and fader.rests):
            return None  # it is asked again after each block
        if self._lanes is None:
            self._lanes = np.stack([stream.lane for stream in client.streams])
        lanes, count, given = self._lanes, len(self._lanes), _NO_SOUND if x is None else x
        there = hops_rest.step(
            hops.words, fader.words, lanes, count, hops.hop, hops.lead, fader.fade, y.shape[1]
        )  # fmt: skip
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
