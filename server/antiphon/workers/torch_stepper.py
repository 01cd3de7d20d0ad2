"""A streaming model on the CPU: one thread, a batch of fixed size, nothing made after the warm-up.

Eager torch in inference mode; `antiphon bench workers` has the figures that decided for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.contract.block import Samples
from antiphon.workers.spec import Stepper, WorkerSpec
from antiphon.workers.streaming import StreamingModel
from antiphon.workers.torch_network import advance, load, one_thread, until_steady


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. `ModelError` when the network or its weights are not what they should be."""
    one_thread()
    return TorchStepper(load(spec, torch.device("cpu")), spec.slots)


class TorchStepper:
    """Every slot is computed at every step, so that a slot's numbers do not depend on who else plays."""

    def __init__(self, network: StreamingModel, slots: int) -> None:
        self._network = network
        self._fresh = tuple(t.clone() for t in network.start(slots))
        self._state = tuple(t.clone() for t in self._fresh)
        self._x = torch.zeros(slots, network.inputs, network.hop)
        self._y = torch.zeros(slots, *network.said)
        self._going = torch.zeros(slots, dtype=torch.bool)
        # the same memory as numpy sees it
        self._heard, self._said, self._mask = self._x.numpy(), self._y.numpy(), self._going.numpy()

    def warm(self) -> None:
        x = np.random.default_rng(0).uniform(-0.5, 0.5, self._heard.shape).astype(np.float32)
        y = np.zeros(self._said.shape, np.float32)
        hops = np.zeros(len(x), np.int64)
        until_steady(lambda: self.step(hops, x, y))
        for slot in range(len(x)):
            self.open(slot, "")

    def open(self, slot: int, config: str) -> None:
        with torch.inference_mode():
            for held, fresh in zip(self._state, self._fresh, strict=True):
                held[slot].copy_(fresh[slot])

    def close(self, slot: int) -> None:
        """Nothing: a slot without hops is masked, and one that is opened again is fresh."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        np.greater_equal(hops, 0, out=self._mask)
        # what idle slots hold may be anything, and stays out
        np.copyto(self._heard, x, where=self._mask[:, None, None])
        with torch.inference_mode():
            advance(self._network, self._x, self._y, self._state, self._going)
        y[...] = self._said
