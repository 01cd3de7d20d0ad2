"""Causal chord network of a beat, from past beats and the new onsets: two GRUs. In numpy.

It reads the melody in each of twelve keys at once, so that a change of key finds it ready; the tables of `harmony`
weigh the keys, and have no other say. `network` reads a file's whole melody. It is trained by `antiphon train
harmony-live`, which the other network teaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.network import F32, arrays_of, mixed_chances, read_network, sigmoid, softmax
from antiphon_accompany.harmony.tracker import places

MODEL = "accompany-chords-live"
FEATURE_COUNT = 4 * 12 + 4
"""Features of a beat: durations and onsets of the previous one, held notes, bar position, and new onsets."""
GROUPS = (0, 12, 24, 40)
"""Offsets of the groups of twelve pitch classes."""
NEAR, FRONT, FIRST, SECOND = 5, 128, 384, 320
"""Beats and outputs of the convolution, and units of the two layers."""
MAX_BACKLOG = 8
"""Maximum unprocessed beats of the backlog; earlier ones are dropped."""
BATCH_BEATS = 2
"""Beats per batch of the backlog."""
_SHAPES = {
    "front.weight": (FRONT, FEATURE_COUNT, NEAR),
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
"""Inverse: for the key of each tonic, index of the network's root on C, C sharp and so on."""


def beat_row(melody: Melody, beat: int, meter: int) -> F32:
    """Features of a beat at its onset: `[FEATURE_COUNT]`, pitch classes from C."""
    before, now = (beat - 1) % melody.size, beat % melody.size
    row = np.zeros(FEATURE_COUNT, np.float32)
    row[:12] = np.minimum(melody.durations[before], 1.0)
    row[12:24] = np.minimum(melody.onsets[before], 1.0)
    row[24:36] = melody.held[now]
    row[36 + places(meter)[beat % meter]] = 1.0
    row[40:] = np.minimum(melody.onsets[now], 1.0)
    return row


def _each_tonic() -> NDArray[np.intp]:
    places_of = np.tile(np.arange(FEATURE_COUNT), (12, 1))
    for group in GROUPS:
        places_of[:, group : group + 12] = group + _FROM_TONIC
    return places_of


_EACH_TONIC = _each_tonic()
"""Feature indices with pitch classes relative to each of twelve tonics: `[12, FEATURE_COUNT]`."""


class LiveChordNetwork:
    """Stateless weights and layers of the network."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Loads the arrays by name. Raises `ModelError`: they do not fit."""
        found = arrays_of(MODEL, arrays, _SHAPES)
        self._front = np.ascontiguousarray(
            found["front.weight"].transpose(2, 1, 0).reshape(NEAR * FEATURE_COUNT, FRONT)
        )
        self._bias = found["front.bias"]
        self._layers = [
            tuple(
                np.ascontiguousarray(found[f"{layer}.{name}_l0"].T)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            for layer in ("near", "wide")
        ]
        self._out = np.ascontiguousarray(found["out.weight"].T), found["out.bias"]

    def recalled(self, layer: int, state: F32) -> F32:
        """State part of a layer's products for the next beat, computable ahead: over half of them."""
        _, back, _, bias = self._layers[layer]
        return np.asarray(state @ back + bias)

    def step(self, rows: F32, states: list[F32], recalled: Sequence[F32] = ()) -> F32:
        """Probabilities of the 24 chords on a beat, `[keys, 24]`.

        `rows`: the last `NEAR` beats' rows, `[keys, NEAR * FEATURE_COUNT]`. `states`: of both layers, `[keys, units]`;
        they are moved on by the beat. `recalled`: of the first layers, what `recalled` gave for their states.
        """
        entering = np.maximum(rows @ self._front + self._bias, 0.0)
        for n, (into, _, bias, _) in enumerate(self._layers):
            units = states[n].shape[1]
            fed, held = entering @ into + bias, recalled[n] if n < len(recalled) else self.recalled(n, states[n])
            gates = sigmoid(fed[:, : 2 * units] + held[:, : 2 * units])
            fresh = np.tanh(fed[:, 2 * units :] + gates[:, :units] * held[:, 2 * units :])
            states[n] = entering = fresh + gates[:, units:] * (states[n] - fresh)
        return softmax(entering @ self._out[0] + self._out[1])


class LiveChords:
    """Network probabilities along one melody, beat by beat."""

    def __init__(self, network: LiveChordNetwork, meter: int) -> None:
        self._network, self._meter = network, meter
        self.restart()

    def restart(self) -> None:
        """Clears all beats."""
        self._rows = np.zeros((NEAR - 1 + MAX_BACKLOG, FEATURE_COUNT), np.float32)
        self._behind = 0  # the last rows that the states do not know yet
        self._asked = False
        self._forget()

    def _forget(self) -> None:
        self._states = [np.zeros((12, units), np.float32) for units in (FIRST, SECOND)]
        self._recalled: list[F32] = []

    def skip(self, melody: Melody, beat: int) -> None:
        """Stores a beat whose chord is not needed; `mixed` processes up to `MAX_BACKLOG` of them."""
        self._asked = False
        self._add(melody, beat)

    def prepare(self) -> bool:
        """Computes part of the coming beat, or a skipped beat. False if nothing is left to compute."""
        if not self._asked:
            return False
        if self._behind:
            self._step()
        elif len(self._recalled) < len(self._states):
            layer = len(self._recalled)
            self._recalled.append(self._network.recalled(layer, self._states[layer]))
        else:
            return False
        return True

    def mixed(self, chances: F32, melody: Melody, beat: int, weights: F32) -> F32:
        """Chord probabilities at a beat: the network's, of the chords to which the tables give `chances`.

        On the first beat after several skipped ones they are the tables' alone: `prepare` catches up before the next.
        `melody`: the melody, complete up to the beat, with what has begun on it. `beat`: the beat, the next after the
        last one that was asked for.
        """
        self._add(melody, beat)
        behind = not self._asked and self._behind > BATCH_BEATS
        self._asked = True
        if behind:
            return chances
        while self._behind > 1:
            self._step()
        by_root = self._step().reshape(12, 2, 12)
        by_key = np.take_along_axis(by_root, _FROM_C[:, None, :], axis=2).reshape(12, 24)
        return mixed_chances(chances, by_key, weights, tables=0.0)

    def _add(self, melody: Melody, beat: int) -> None:
        self._rows[:-1] = self._rows[1:]
        self._rows[-1] = beat_row(melody, beat, self._meter)
        if self._behind == MAX_BACKLOG:
            self._forget()
        self._behind = min(MAX_BACKLOG, self._behind + 1)

    def _step(self) -> F32:
        """Advances the states by the first unprocessed beat; returns its network probabilities."""
        end = len(self._rows) - self._behind + 1
        rows = self._rows[end - NEAR : end, _EACH_TONIC].transpose(1, 0, 2).reshape(12, -1)
        self._behind -= 1
        recalled, self._recalled = self._recalled, []
        return self._network.step(rows, self._states, recalled)


@cache
def installed_live_network() -> LiveChordNetwork | None:
    """The installed network, as `read_network`."""
    return read_network(MODEL, LiveChordNetwork)
