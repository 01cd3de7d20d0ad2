"""Streaming model on an NVIDIA card: weights and states stay in its memory, and each step is a recorded CUDA graph.

A capture bundles the card's resources: recording, pinned memory, the stream and its events. The base class `Capture`
runs on the CPU, for tests on a machine without a card.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks.torch_network import (
    State,
    StreamingModel,
    advance,
    load,
    repeat_until_steady,
    use_one_torch_thread,
)

log = logging.getLogger("antiphon.workers")
BUFFERS = 2
PROOF_HOPS = 16
"""Hops of noise in the test that a smaller batch is bit-exact with the whole one."""


class Capture:
    """Records and repeats steps on fixed tensors; on the CPU, or a device without a stream, a step is called again."""

    device: torch.device

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)

    def host(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Zeros in host memory that can be copied asynchronously."""
        return torch.zeros(shape, dtype=dtype)

    def settle(self) -> None:
        """Waits until the device has finished all work, on all streams."""

    def stream(self) -> AbstractContextManager[object]:
        """Context manager: work is queued on the stream, in order and asynchronously."""
        return nullcontext()

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Records a step, which must have run before; returns a callable that repeats it on the stream."""
        return step

    def mark(self, buffer: int) -> None:
        """Records the present position of the stream for a buffer."""

    def wait(self, buffer: int) -> None:
        """Waits until the stream has passed the buffer's mark."""


class Graphs(Capture):
    """A capture on the card with a CUDA graph for each step: one launch, and no allocation after recording."""

    def __init__(self) -> None:
        super().__init__("cuda")
        self._stream = torch.cuda.Stream()
        self._marks = [torch.cuda.Event() for _ in range(BUFFERS)]
        # graphs never run at the same time, so they can share a pool for intermediate results
        self._pool = torch.cuda.graph_pool_handle()

    def host(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, pin_memory=True)

    def settle(self) -> None:
        torch.cuda.synchronize()

    def stream(self) -> AbstractContextManager[object]:
        stream: AbstractContextManager[object] = torch.cuda.stream(self._stream)
        return stream

    def mark(self, buffer: int) -> None:
        self._marks[buffer].record(self._stream)

    def wait(self, buffer: int) -> None:
        self._marks[buffer].synchronize()

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        self._stream.synchronize()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            step()
        replay: Callable[[], None] = graph.replay
        return replay


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. Raises WorkerError: there is no working card."""
    use_one_torch_thread()
    capture = card(spec.name)
    return GraphStepper(load(spec, capture.device), spec.slots, capture)


def card(name: str) -> Graphs:
    """Sets the card to full float32 precision and deterministic kernels. Raises WorkerError when there is no card."""
    if not torch.cuda.is_available():
        raise WorkerError(f"{name} was to run on cuda, and torch {torch.__version__} finds no card; use --device cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return Graphs()


class GraphStepper:
    """`Stepper` with a recorded step for several batch sizes: 1, 2, 4, … and all slots.

    Each step uses the smallest batch that contains the highest open slot. **Its results must not depend on the batch
    size**: a replay must give the same samples whatever other streams play. Libraries choose different kernels for
    different batch sizes, and their results may differ in the last digit; so `warm` compares each size with the whole
    batch, bit for bit, and drops those that differ.

    `post` and `take` are the two halves of `step`: two hops may be in progress, with a pinned buffer each.
    """

    def __init__(self, network: StreamingModel, slots: int, capture: Capture) -> None:
        self._network, self._capture, self._slots = network, capture, slots
        self._open: set[int] = set()
        self._posted = self._taken = 0
        self._use = slots
        shape_in, shape_out = (slots, network.inputs, network.hop), (slots, *network.said)
        device = capture.device
        # the weights may still be copied, on another stream
        capture.settle()
        self._hosts = [
            (capture.host(*shape_in), capture.host(*shape_out), capture.host(slots, dtype=torch.bool))
            for _ in range(BUFFERS)
        ]
        self._views = [tuple(t.numpy() for t in host) for host in self._hosts]
        with capture.stream():
            self._fresh: State = tuple(t.clone().to(device) for t in network.start(slots))
            self._state: State = tuple(t.clone() for t in self._fresh)
            self._x, self._y = torch.zeros(shape_in, device=device), torch.zeros(shape_out, device=device)
            self._going = torch.zeros(slots, dtype=torch.bool, device=device)
        self._steps: dict[int, Callable[[], None]] = {slots: self._of(slots)}

    @property
    def counts(self) -> tuple[int, ...]:
        """Batch sizes with a recorded step, ascending."""
        return tuple(sorted(self._steps))

    def warm(self) -> None:
        counts = [1 << n for n in range(self._slots.bit_length()) if 1 << n < self._slots]
        with torch.inference_mode(), self._capture.stream():
            for count in (*counts, self._slots):
                run = self._of(count)
                repeat_until_steady(partial(self._timed, run))
                self._steps[count] = self._capture.record(run)
        for count in counts:
            alone, among = self._proof(count, count), self._proof(count, self._slots)
            if not all(torch.equal(a, b) for a, b in zip(alone, among, strict=True)):
                log.info("%d of %d slots by themselves give other last digits; they run with all", count, self._slots)
                del self._steps[count]
        rng = np.random.default_rng(1)
        x, y = rng.uniform(-0.5, 0.5, self._views[0][0].shape).astype(np.float32), np.zeros_like(self._views[0][1])
        for count in self._steps:
            self._use = count
            repeat_until_steady(lambda: self.step(np.zeros(self._slots, np.int64), x, y))
        for slot in range(self._slots):
            self.open(slot, "")
        self._open.clear()
        self._choose()

    def open(self, slot: int, config: str) -> None:
        with torch.inference_mode(), self._capture.stream():
            for state, fresh in zip(self._state, self._fresh, strict=True):
                state[slot].copy_(fresh[slot])
        self._open.add(slot)
        self._choose()

    def close(self, slot: int) -> None:
        self._open.discard(slot)
        self._choose()

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        self.post(hops, x)
        self.take(y)

    def post(self, hops: NDArray[np.int64], x: Samples) -> None:
        """Starts the computation of one hop, float32 `[slots, inputs, hop]`.

        At most `BUFFERS` hops may be in progress. `hops`: number of the hop of each slot; negative for a slot without
        one.
        """
        if self._posted - self._taken >= BUFFERS:
            raise WorkerError(f"{BUFFERS} hops are on their way to the card already; take one first")
        buffer = self._posted % BUFFERS
        host_x, host_y, host_going = self._hosts[buffer]
        inputs, _, mask = self._views[buffer]
        np.greater_equal(hops, 0, out=mask)
        # idle slots may hold NaN, which must not get into the batch
        np.copyto(inputs, x, where=mask[:, None, None])
        with torch.inference_mode(), self._capture.stream():
            self._x.copy_(host_x, non_blocking=True)
            self._going.copy_(host_going, non_blocking=True)
            self._steps[self._use]()
            host_y.copy_(self._y, non_blocking=True)
            self._capture.mark(buffer)
        self._posted += 1

    def take(self, y: Samples) -> None:
        """Waits for the oldest hop in progress, and copies its answer into `y`, float32 `[slots, outputs, answer]`."""
        buffer = self._taken % BUFFERS
        self._capture.wait(buffer)
        y[...] = self._views[buffer][1]
        self._taken += 1

    def _of(self, count: int) -> Callable[[], None]:
        """Step of the first `count` slots that updates the tensors in place."""
        x, y, going = self._x[:count], self._y[:count], self._going[:count]
        state = tuple(tensor[:count] for tensor in self._state)
        return lambda: advance(self._network, x, y, state, going)

    def _timed(self, run: Callable[[], None]) -> None:
        run()
        self._capture.mark(0)
        self._capture.wait(0)

    def _proof(self, slots: int, count: int) -> list[torch.Tensor]:
        """Answers of the first `slots` to `PROOF_HOPS` hops of noise in a batch of `count`, and their final state."""
        rng = np.random.default_rng(0)
        for slot in range(slots):
            self.open(slot, "")
        self._use = count
        hops = np.where(np.arange(self._slots) < slots, 0, -1)
        y = np.zeros_like(self._views[0][1])
        answers: list[torch.Tensor] = []
        for _ in range(PROOF_HOPS):
            self.step(hops, rng.uniform(-0.5, 0.5, self._views[0][0].shape).astype(np.float32), y)
            answers.append(torch.from_numpy(y[:slots].copy()))
        return [*answers, *(tensor[:slots].cpu().clone() for tensor in self._state)]

    def _choose(self) -> None:
        needed = max(self._open, default=0) + 1
        self._use = min((count for count in self._steps if count >= needed), default=self._slots)
