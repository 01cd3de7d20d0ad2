"""The recurrent network that sets the gate's thresholds in each band, compiled to machine code.

135 inputs → 64 tanh → two gated recurrent layers of 64 → 6 values for each of 44 bands. `antiphon train denoise-gate`
writes the weights to `models/weights/`. Without them all bands use the constant `PLAIN_RULE`.
"""

from __future__ import annotations

import logging
import math
from enum import IntEnum
from functools import cache

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon.api.kernels import address, address_f32, f32, f32p, i64, i64p, kernel, offset
from antiphon_denoise.bands import COUNT

log = logging.getLogger("antiphon.denoise")
MODEL = "denoise-gate"
PLAIN_RULE = (-0.995, -0.016, 0.426, -0.402, -0.524, 0.603)
"""Output of a band without weights: the median output of a trained network. Reduces little until noise is learned."""
HIDDEN = 64
INPUTS = 3 * COUNT + 3
OUTPUTS = 6 * COUNT
WeightLayout = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of weights."""
LAYOUT: WeightLayout = (
    ("w0", (INPUTS, HIDDEN)), ("b0", (HIDDEN,)),
    ("u1", (HIDDEN, 3 * HIDDEN)), ("v1", (HIDDEN, 3 * HIDDEN)), ("c1", (3 * HIDDEN,)), ("d1", (HIDDEN,)),
    ("u2", (HIDDEN, 3 * HIDDEN)), ("v2", (HIDDEN, 3 * HIDDEN)), ("c2", (3 * HIDDEN,)), ("d2", (HIDDEN,)),
    ("wo", (2 * HIDDEN, OUTPUTS)), ("bo", (OUTPUTS,)),
)  # fmt: skip


@kernel
def denoise_linear_layer(x: f32p, rows: i64, columns: i64, w: f32p, bias: f32p, y: f32p) -> None:
    """y `[columns]` ← x `[rows]` · w `[rows, columns]` + bias, row by row so that the inner loop vectorises."""
    for j in range(columns):
        y[j] = bias[j]
    for i in range(rows):
        v = x[i]
        for j in range(columns):
            y[j] = y[j] + v * w[i * columns + j]


@kernel
def denoise_gru_step(from_input: f32p, from_state: f32p, new_state_bias: f32p, state: f32p, width: i64) -> None:
    """state `[width]` ← one step of a gated recurrent unit.

    from_input, from_state: `[3, width]` their parts of update gate, reset gate and new state, the input's with biases;
    new_state_bias: `[width]`, which the reset gate scales.
    """
    for j in range(width):
        update = f32(1.0) / (f32(1.0) + math.exp(-(from_input[j] + from_state[j])))
        reset = f32(1.0) / (f32(1.0) + math.exp(-(from_input[width + j] + from_state[width + j])))
        raw = from_input[2 * width + j] + reset * (from_state[2 * width + j] + new_state_bias[j])
        fresh = f32(2.0) / (f32(1.0) + math.exp(f32(-2.0) * raw)) - f32(1.0)
        state[j] = (f32(1.0) - update) * fresh + update * state[j]


@kernel
def denoise_tanh(x: f32p, width: i64) -> None:
    """x `[width]` ← tanh x, in place."""
    for j in range(width):
        x[j] = f32(2.0) / (f32(1.0) + math.exp(f32(-2.0) * x[j])) - f32(1.0)


class NetworkWord(IntEnum):
    """Indices of the words of a network: addresses of the weights, as in `LAYOUT`, and of its buffers."""

    W0 = 0
    """0 without weights."""
    B0 = 1
    U1 = 2
    V1 = 3
    C1 = 4
    D1 = 5
    U2 = 6
    V2 = 7
    C2 = 8
    D2 = 9
    WO = 10
    BO = 11
    INPUTS = 12
    FIRST = 13
    STATES = 14
    FROM_INPUT = 15
    FROM_STATE = 16
    OUTPUTS = 17


@kernel
def denoise_gru_layer(w: i64p, at: i64, x: f32p, state: f32p) -> None:
    """state ← GRU layer's next state for x; weights from `at` of the words (`NetworkWord`)."""
    from_input = address_f32(w[NetworkWord.FROM_INPUT])
    from_state = address_f32(w[NetworkWord.FROM_STATE])
    # the bias of the input counts for both
    for j in range(3 * HIDDEN):
        from_state[j] = 0.0
    denoise_linear_layer(x, HIDDEN, 3 * HIDDEN, address_f32(w[at]), address_f32(w[at + 2]), from_input)
    denoise_linear_layer(state, HIDDEN, 3 * HIDDEN, address_f32(w[at + 1]), from_state, from_state)
    denoise_gru_step(from_input, from_state, address_f32(w[at + 3]), state, HIDDEN)


@kernel
def denoise_network(w: i64p) -> None:
    """Computes the outputs of a network from its inputs, and advances its state by one hop."""
    if w[NetworkWord.W0] == 0:
        return
    first = address_f32(w[NetworkWord.FIRST])
    states = address_f32(w[NetworkWord.STATES])
    inputs = address_f32(w[NetworkWord.INPUTS])
    denoise_linear_layer(inputs, INPUTS, HIDDEN, address_f32(w[NetworkWord.W0]), address_f32(w[NetworkWord.B0]), first)
    denoise_tanh(first, HIDDEN)
    denoise_gru_layer(w, NetworkWord.U1, first, states)
    denoise_gru_layer(w, NetworkWord.U2, states, offset(states, HIDDEN))
    weights = address_f32(w[NetworkWord.WO])
    bias = address_f32(w[NetworkWord.BO])
    denoise_linear_layer(states, 2 * HIDDEN, OUTPUTS, weights, bias, address_f32(w[NetworkWord.OUTPUTS]))


class Network:
    """Network of one stream; `words` are the kernel's state, by `NetworkWord`.

    `inputs`: `[INPUTS]`, to be written before `step`; `outputs`: `[6, COUNT]`, coefficients of `denoise_gate_logits`.
    """

    def __init__(self, weights: dict[str, F32] | None) -> None:
        """Allocates the buffers. weights: from `load_weights`; None uses `PLAIN_RULE` in every band."""
        self._weights = weights
        self.inputs: F32 = np.zeros(INPUTS, np.float32)
        self.outputs: F32 = np.zeros((6, COUNT), np.float32)
        self._states: F32 = np.zeros(2 * HIDDEN, np.float32)
        self._work: list[F32] = [np.zeros(size * HIDDEN, np.float32) for size in (1, 3, 3)]
        first, from_input, from_state = self._work
        arrays = self.inputs, first, self._states, from_input, from_state, self.outputs
        given = [0] * len(LAYOUT) if weights is None else [address(weights[name]) for name, _ in LAYOUT]
        self.words = np.array([*given, *map(address, arrays)], np.int64)
        if weights is None:
            self.outputs[:] = np.array(PLAIN_RULE, np.float32)[:, None]

    def reset(self) -> None:
        """Sets the recurrent state to 0."""
        self._states.fill(0.0)

    def step(self) -> None:
        """Computes `outputs` from `inputs` and advances the state by one hop."""
        denoise_network(self.words)


def installed_weights(model: str, layout: WeightLayout, without: str) -> dict[str, F32] | None:
    """Installed weights by name, float32; None, after the warning `without`, where no sound model is installed."""
    try:
        named = read_weights(model)
        return {name: find_array(named, name, *shape).astype(np.float32) for name, shape in layout}
    except ModelError as error:
        log.warning("denoise %s: %s", without, error)
        return None


@cache
def load_weights() -> dict[str, F32] | None:
    """The weights of the gate's network, as `installed`."""
    return installed_weights(MODEL, LAYOUT, "uses a fixed rule in place of the gate's network")
