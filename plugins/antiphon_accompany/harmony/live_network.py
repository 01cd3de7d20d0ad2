"""The chord of a beat by a network that knows what is past, and what has begun with the beat: two GRUs. In numpy.

It reads the melody in each of twelve keys at once, so that a change of key finds it ready. `network` reads a file's
whole melody; both are mixed with the tables of `harmony` in the same way. It is trained by `antiphon train
harmony-live`, which the other network teaches.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.network import F32, arrays_of, mixed_chances, read_network, sigmoid, softmax
from antiphon_accompany.harmony.tracker import places

MODEL = "accompany-chords-live"
SEEN = 4 * 12 + 4
"""Numbers of a beat: durations and onsets of the one before, held notes, the place in the bar, and what begins."""
GROUPS = (0, 12, 24, 40)
"""Where twelve pitch classes begin among them."""
NEAR, FRONT, FIRST, SECOND = 5, 128, 384, 320
"""Beats and outputs of the convolution, and units of the two layers."""
TRUST = 4.0
"""Exponent of the network's chances, where the tables' have 1: tuned by songs."""
_SHAPES = {
    "front.weight": (FRONT, SEEN, NEAR),
    "front.bias": (FRONT,),
    "out.weight": (24, SECOND),
    "out.bias": (24,),
    **{
        f"{layer}.{name}_l0": shape
        for layer, inputs, units in (("near", FRONT, FIRST), ("wide", FIRST, SECOND))
        for name, shape in (
            ("weight_ih", (3 * units, inputs)),
            ("weight_hh", (3 * units, units)),
            ("bias_ih", (3 * units,)),
            ("bias_hh", (3 * units,)),
        )
    },
}
_FROM_TONIC = (np.arange(12)[None, :] + np.arange(12)[:, None]) % 12
"""Pitch classes by their distance from each of twelve tonics."""
_FROM_C = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
"""The reverse: of the key of each tonic, which of the network's roots lies on C, C sharp and so on."""


def beat_row(melody: Melody, beat: int, meter: int) -> F32:
    """What is known of a beat when it begins: `[SEEN]`, pitch classes from C."""
    before, now = (beat - 1) % melody.size, beat % melody.size
    row = np.zeros(SEEN, np.float32)
    row[:12] = np.minimum(melody.durations[before], 1.0)
    row[12:24] = np.minimum(melody.onsets[before], 1.0)
    row[24:36] = melody.held[now]
    row[36 + places(meter)[beat % meter]] = 1.0
    row[40:] = np.minimum(melody.onsets[now], 1.0)
    return row


def from_each_tonic(row: F32) -> F32:
    """The same with pitch classes counted from each of twelve tonics: `[12, SEEN]`."""
    turned = np.tile(row, (12, 1))
    for group in GROUPS:
        turned[:, group : group + 12] = row[group + _FROM_TONIC]
    return turned


class LiveChordNetwork:
    """The network. It holds no state."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Takes the arrays by name. Raises `ModelError` where they are not those of this network."""
        found = arrays_of(MODEL, arrays, _SHAPES)
        self._front = np.ascontiguousarray(found["front.weight"].transpose(2, 1, 0).reshape(NEAR * SEEN, FRONT))
        self._bias = found["front.bias"]
        self._layers = [
            tuple(
                np.ascontiguousarray(found[f"{layer}.{name}_l0"].T)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            for layer in ("near", "wide")
        ]
        self._out = np.ascontiguousarray(found["out.weight"].T), found["out.bias"]

    def step(self, rows: F32, states: list[F32]) -> F32:
        """Chances of the 24 chords on a beat, `[keys, 24]`.

        Args:
            rows: The last `NEAR` beats' rows, `[keys, NEAR * SEEN]`.
            states: Of both layers, `[keys, units]`; they are moved on by the beat.
        """
        entering = np.maximum(rows @ self._front + self._bias, 0.0)
        for n, (into, back, bias, bias_back) in enumerate(self._layers):
            units = states[n].shape[1]
            fed, held = entering @ into + bias, states[n] @ back + bias_back
            gates = sigmoid(fed[:, : 2 * units] + held[:, : 2 * units])
            fresh = np.tanh(fed[:, 2 * units :] + gates[:, :units] * held[:, 2 * units :])
            states[n] = entering = fresh + gates[:, units:] * (states[n] - fresh)
        return softmax(entering @ self._out[0] + self._out[1])


class LiveChords:
    """The network's chances along one melody, beat by beat."""

    def __init__(self, network: LiveChordNetwork, meter: int) -> None:
        self._network, self._meter = network, meter
        self.restart()

    def restart(self) -> None:
        """Forgets all beats."""
        self._rows = np.zeros((12, NEAR, SEEN), np.float32)
        self._states = [np.zeros((12, units), np.float32) for units in (FIRST, SECOND)]

    def mixed(self, chances: F32, melody: Melody, beat: int, weights: F32) -> F32:
        """The tables' chances of the 24 chords at a beat with the network's.

        Args:
            chances: The tables'.
            melody: The melody, complete up to the beat, with what has begun on it.
            beat: The beat, the next after the last one that was asked for.
            weights: Of the keys, as of a tracker.
        """
        self._rows[:, :-1] = self._rows[:, 1:]
        self._rows[:, -1] = from_each_tonic(beat_row(melody, beat, self._meter))
        by_root = self._network.step(self._rows.reshape(12, -1), self._states).reshape(12, 2, 12)
        by_key = np.take_along_axis(by_root, _FROM_C[:, None, :], axis=2).reshape(12, 24)
        return mixed_chances(chances, by_key, weights, TRUST)


@cache
def installed_live_network() -> LiveChordNetwork | None:
    """The installed network, as of `read_network`."""
    return read_network(MODEL, LiveChordNetwork)
