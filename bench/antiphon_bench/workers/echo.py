"""Trivial steppers: a copy, to measure the overhead of a worker, and a negation, to distinguish wet from dry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.workers.spec import WorkerSpec


class Echo:
    """y is x."""

    gain = 1.0

    def __init__(self, spec: WorkerSpec) -> None:
        self.slots = spec.slots

    def warm(self) -> None:
        pass

    def open(self, slot: int, config: str) -> None:
        pass

    def close(self, slot: int) -> None:
        pass

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        np.multiply(x, self.gain, out=y)


class Negate(Echo):
    """y is -x: with a constant input the sign of each output sample shows whether it is wet or dry."""

    gain = -1.0
