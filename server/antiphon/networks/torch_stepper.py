"""Streaming model on the CPU: one thread, a batch of fixed size, no allocation by the stepper after its warm-up.

Eager torch in inference mode; docs/benchmarks.md has the figures that decided for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks.streaming import StreamingModel
from antiphon.networks.torch_network import advance, load, one_thread, until_steady


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. Raises ModelError when the network or its weights are not as declared."""
    one_thread()
    return TorchStepper(load(spec, torch.device("cpu")), spec.slots)


class TorchStepper:
    """`Stepper` that computes every slot at every step, so that results do not depend on the other streams."""

    def __init__(self, network: StreamingModel, slots: int) -> None:
        self._network = network
        self._fresh = tuple(t.clone() for t in network.start(slots))
        self._state = tuple(t.clone() for t in self._fresh)
        self._x = torch.zeros(slots, network.inputs, network.hop)
        self._y = torch.zeros(slots, *network.said)
        self._going = torch.zeros(slots, dtype=torch.bool)
        # numpy views of the same memory
        self._inputs, self._outputs, self._mask = self._x.numpy(), self._y.numpy(), self._going.numpy()

    def warm(self) -> None:
        x = np.random.default_rng(0).uniform(-0.5, 0.5, self._inputs.shape).astype(np.float32)
        y = np.zeros(self._outputs.shape, np.float32)
        hops = np.zeros(len(x), np.int64)
        until_steady(lambda: self.step(hops, x, y))
        for slot in range(len(x)):
            self.open(slot, "")

    def open(self, slot: int, config: str) -> None:
        with torch.inference_mode():
            for state, fresh in zip(self._state, self._fresh, strict=True):
                state[slot].copy_(fresh[slot])

    def close(self, slot: int) -> None:
        """No operation: a slot without hops is masked, and `open` resets a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        np.greater_equal(hops, 0, out=self._mask)
        # idle slots may hold NaN, which must not get into the batch
        np.copyto(self._inputs, x, where=self._mask[:, None, None])
        with torch.inference_mode():
            advance(self._network, self._x, self._y, self._state, self._going)
        y[...] = self._outputs
