"""The bar model: a GRU over the events of a piece, which corrects the memories' predictions. In numpy."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_answer.bar_features import EVENT_ROWS, TIME_ROWS, VALUE_ROWS
from antiphon_answer.memory import INTERVALS, TIMES

MODEL = "answer-bars"
EMBEDDED, UNITS, HIDDEN = 128, 256, 128
PROBABILITY_FLOOR = 1e-7
"""Added to a memory's probabilities before the logarithm, as in training."""
_SOFTPLUS_ONE = math.log(math.e - 1.0)
"""Input of softplus with output 1."""
_SHAPES = {
    "event_table.weight": (EVENT_ROWS, EMBEDDED),
    "gru.weight_ih_l0": (3 * UNITS, EMBEDDED),
    "gru.weight_hh_l0": (3 * UNITS, UNITS),
    "gru.bias_ih_l0": (3 * UNITS,),
    "gru.bias_hh_l0": (3 * UNITS,),
    **{
        f"{name}_{part}": shape
        for name, rows, outputs in (("value", VALUE_ROWS, INTERVALS), ("time", TIME_ROWS, TIMES))
        for part, shape in (
            ("table.weight", (rows, HIDDEN)),
            ("in.weight", (HIDDEN, UNITS + 3)),
            ("in.bias", (HIDDEN,)),
            ("out.weight", (outputs + 1, HIDDEN)),
            ("out.bias", (outputs + 1,)),
        )
    },
}


class BarModel:
    """Stateless weights of the network; a state is `[UNITS]`, zeros before the first event."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Takes the arrays by name. Raises `ModelError` where they are not those of this network."""
        self._arrays = {name: find_array(arrays, name, *shape).astype(np.float32) for name, shape in _SHAPES.items()}

    def __deepcopy__(self, memo: object) -> BarModel:
        """The same object, since it is immutable."""
        return self

    def follow(self, state: F32, rows: NDArray[np.int64]) -> F32:
        """State after an event, given its rows of the table of events."""
        a = self._arrays
        told = a["event_table.weight"][rows].sum(axis=0)
        new = a["gru.weight_ih_l0"] @ told + a["gru.bias_ih_l0"]
        old = a["gru.weight_hh_l0"] @ state + a["gru.bias_hh_l0"]
        reset, keep = _sigmoid(new[:UNITS] + old[:UNITS]), _sigmoid((new + old)[UNITS : 2 * UNITS])
        fresh = np.tanh(new[2 * UNITS :] + reset * old[2 * UNITS :])
        return np.asarray((1.0 - keep) * fresh + keep * state, np.float32)

    def values(self, state: F32, rows: NDArray[np.int64], memory: F64 | None) -> F64:
        """Probabilities `[INTERVALS]` of an event's value, by the state before it and rows of the table of values.

        memory: the chances by the memory; None to do without.
        """
        return self._chances("value", state, rows, memory)

    def times(self, state: F32, rows: NDArray[np.int64], memory: F64 | None) -> F64:
        """Probabilities `[TIMES]` of the time to a part's next event; see `values`. `state`: after its last one."""
        return self._chances("time", state, rows, memory)

    def _chances(self, name: str, state: F32, rows: NDArray[np.int64], memory: F64 | None) -> F64:
        a = self._arrays
        sure = np.zeros(3, np.float32)
        if memory is not None:
            # half precision, as the material of the training was
            known = np.log(memory / memory.sum() + PROBABILITY_FLOOR).astype(np.float16).astype(np.float64)
            sure[:] = known.max(), float(np.dot(np.exp(known), known)), 1.0
        hidden = a[f"{name}_in.weight"] @ np.concatenate((state, sure)) + a[f"{name}_in.bias"]
        hidden = np.maximum(0.0, hidden + a[f"{name}_table.weight"][rows].sum(axis=0))
        out = (a[f"{name}_out.weight"] @ hidden + a[f"{name}_out.bias"]).astype(np.float64)
        logits = out[:-1] if memory is None else out[:-1] + np.logaddexp(0.0, out[-1] + _SOFTPLUS_ONE) * known
        chances = np.exp(logits - logits.max())
        return np.asarray(chances / chances.sum())


def _sigmoid(x: F32) -> F32:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float32)


@cache
def installed_bars() -> BarModel:
    """The installed network. Raises `ModelError`, with advice: it is missing or changed."""
    try:
        return BarModel(read_weights(MODEL))
    except ModelError as error:
        raise ModelError(f"by=bars cannot be used: {error}; say by=memory, which needs no network") from None
