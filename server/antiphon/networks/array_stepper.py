"""Worker stepper without torch: one numpy network per slot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks import array_network
from antiphon.networks.array_network import ArrayNetwork


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. Raises ModelError when the network or its weights are not as declared."""
    where, weights, folder = (str(spec.settings.get(name, "")) for name in ("network", "weights", "folder"))
    return ArrayStepper(
        [array_network.load(where, weights, folder, spec.inputs, spec.outputs) for _ in range(spec.slots)]
    )


class ArrayStepper:
    """`Stepper` that computes the slots with a hop, one after another."""

    def __init__(self, networks: list[ArrayNetwork]) -> None:
        self._networks = networks

    def warm(self) -> None:
        """No operation: the networks are loaded warm."""

    def open(self, slot: int, config: str) -> None:
        self._networks[slot].start()

    def close(self, slot: int) -> None:
        """No operation: `open` resets a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        for slot, network in enumerate(self._networks):
            if hops[slot] >= 0:
                network.step(x[slot], y[slot])
