"""The small recurrent network that sets the gate's thresholds, band by band, as machine code.

135 inputs → 64 tanh → two gated recurrent layers of 64 → 6 numbers for each of 44 bands. `antiphon train
denoise-gate` makes the weights; `models/weights/` holds them. Without them every stream gets one plain rule.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, i64, kernel
from antiphon.api.models import ModelError, read_weights
from antiphon_denoise.bands import COUNT

F32 = NDArray[np.float32]
log = logging.getLogger("antiphon.denoise")
MODEL = "denoise-gate"
PLAIN_RULE = (-0.995, -0.016, 0.426, -0.402, -0.524, 0.603)
"""The median of what a trained network said: a careful gate that does little until it has learned the noise."""
HIDDEN = 64
INPUTS = 3 * COUNT + 3
OUTPUTS = 6 * COUNT
LAYOUT: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("w0", (INPUTS, HIDDEN)), ("b0", (HIDDEN,)),
    ("u1", (HIDDEN, 3 * HIDDEN)), ("v1", (HIDDEN, 3 * HIDDEN)), ("c1", (3 * HIDDEN,)), ("d1", (HIDDEN,)),
    ("u2", (HIDDEN, 3 * HIDDEN)), ("v2", (HIDDEN, 3 * HIDDEN)), ("c2", (3 * HIDDEN,)), ("d2", (HIDDEN,)),
    ("wo", (2 * HIDDEN, OUTPUTS)), ("bo", (OUTPUTS,)),
)  # fmt: skip


@kernel
def denoise_affine(x: f32p, rows: i64, columns: i64, w: f32p, bias: f32p, y: f32p) -> None:
    """y `[columns]` ← x `[rows]` · w `[rows, columns]` + bias, row by row so that it runs in vectors."""
    for j in range(columns):
        y[j] = bias[j]
    for i in range(rows):
        v = x[i]
        for j in range(columns):
            y[j] = y[j] + v * w[i * columns + j]


@kernel
def denoise_recur(given: f32p, heard: f32p, late: f32p, state: f32p, width: i64) -> None:
    """state ← one step of a gated unit; given and heard: input's and state's part of update, reset, new."""
    for j in range(width):
        update = f32(1.0) / (f32(1.0) + math.exp(-(given[j] + heard[j])))
        reset = f32(1.0) / (f32(1.0) + math.exp(-(given[width + j] + heard[width + j])))
        raw = given[2 * width + j] + reset * (heard[2 * width + j] + late[j])
        fresh = f32(2.0) / (f32(1.0) + math.exp(f32(-2.0) * raw)) - f32(1.0)
        state[j] = (f32(1.0) - update) * fresh + update * state[j]


@kernel
def denoise_squash(x: f32p, width: i64) -> None:
    """x ← tanh x."""
    for j in range(width):
        x[j] = f32(2.0) / (f32(1.0) + math.exp(f32(-2.0) * x[j])) - f32(1.0)


class Network:
    """One stream's network: `inputs` in, `step()`, `outputs` `[6, COUNT]` out."""

    def __init__(self, weights: dict[str, F32] | None) -> None:
        """weights: of `load_weights`; None for `PLAIN_RULE` in every band."""
        self._weights = weights
        self.inputs: F32 = np.zeros(INPUTS, np.float32)
        self.outputs: F32 = np.zeros((6, COUNT), np.float32)
        self._first: F32 = np.zeros(HIDDEN, np.float32)
        self._states: F32 = np.zeros(2 * HIDDEN, np.float32)
        self._given: F32 = np.zeros(3 * HIDDEN, np.float32)
        self._heard: F32 = np.zeros(3 * HIDDEN, np.float32)
        none = np.zeros(3 * HIDDEN, np.float32)
        self._steps: list[Callable[[], None]] = []
        if weights is None:
            self.outputs[:] = np.array(PLAIN_RULE, np.float32)[:, None]
            return
        w = weights
        low, high = self._states[:HIDDEN], self._states[HIDDEN:]
        self._steps = [
            denoise_affine.bind(self.inputs, INPUTS, HIDDEN, w["w0"], w["b0"], self._first),
            denoise_squash.bind(self._first, HIDDEN),
            denoise_affine.bind(self._first, HIDDEN, 3 * HIDDEN, w["u1"], w["c1"], self._given),
            denoise_affine.bind(low, HIDDEN, 3 * HIDDEN, w["v1"], none, self._heard),
            denoise_recur.bind(self._given, self._heard, w["d1"], low, HIDDEN),
            denoise_affine.bind(low, HIDDEN, 3 * HIDDEN, w["u2"], w["c2"], self._given),
            denoise_affine.bind(high, HIDDEN, 3 * HIDDEN, w["v2"], none, self._heard),
            denoise_recur.bind(self._given, self._heard, w["d2"], high, HIDDEN),
            denoise_affine.bind(self._states, 2 * HIDDEN, OUTPUTS, w["wo"], w["bo"], self.outputs),
        ]

    def reset(self) -> None:
        self._states.fill(0.0)

    def step(self) -> None:
        """One hop."""
        for run in self._steps:
            run()


@cache
def load_weights() -> dict[str, F32] | None:
    """The installed weights by name, float32.

    None where no sound model is installed: said once, and the gate goes by `PLAIN_RULE`.
    """
    try:
        return _checked(read_weights(MODEL), MODEL)
    except ModelError as error:
        log.warning("denoise goes by a plain gate: %s", error)
        return None


def _checked(named: dict[str, NDArray[Any]], source: str) -> dict[str, F32]:
    for name, shape in LAYOUT:
        if name not in named or named[name].shape != shape:
            raise ModelError(f"{source} does not hold {name} {list(shape)}; make it again with training")
    return {name: np.ascontiguousarray(named[name], np.float32) for name, _ in LAYOUT}
