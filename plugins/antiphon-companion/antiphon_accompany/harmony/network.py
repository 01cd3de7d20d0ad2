"""Chord network of a whole melody: a bidirectional LSTM with attention, in numpy.

It reads the melody relative to a major key; a minor key is read as its relative major. Its log probabilities, weighted
by the keys of `harmony`, are added to those of the tables. It is trained by `antiphon train harmony`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import ModelError, find_array, read_weights, sigmoid
from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.tracker import places

F32 = NDArray[np.float32]
Network = TypeVar("Network")
MODEL = "accompany-chords"
FEATURE_COUNT = 3 * 12 + 4
"""Number of features of a beat: durations, onsets and held notes by pitch class, and bar position."""
GROUPS = (0, 12, 24)
"""Offsets of the groups of twelve pitch classes among the features."""
NEAR, FRONT, UNITS, HEADS, KEYS, VALUES, FAR = 5, 128, 128, 2, 32, 64, 128
"""Beats and outputs of the convolution, units of a direction, attention sizes, and maximum attention distance."""
TABLES = 0.5
"""Exponent of the probabilities of the tables, where the network's have 1: tuned on songs."""
STRETCH, AFTER = 1024, 16
"""Beats per batch, and silent beats after the last."""
MIN_KEY_WEIGHT = 0.02
"""Minimum weight of a key."""
_NONE = 1e-20
"""Probability of a chord outside a fixed key, and total of the others."""


def recurrent_shapes(
    layer: str, inputs: int, units: int, gates: int, directions: Sequence[str] = ("",)
) -> dict[str, tuple[int, ...]]:
    """Shapes of a recurrent layer's arrays by name, as PyTorch names them, a set for each direction's suffix."""
    shapes = {
        "weight_ih": (gates * units, inputs),
        "weight_hh": (gates * units, units),
        "bias_ih": (gates * units,),
        "bias_hh": (gates * units,),
    }
    return {f"{layer}.{name}_l0{way}": shape for way in directions for name, shape in shapes.items()}


_SHAPES = {
    "front.weight": (FRONT, FEATURE_COUNT, NEAR),
    "front.bias": (FRONT,),
    "ask.weight": (2 * HEADS * KEYS + HEADS * VALUES, 2 * UNITS),
    "ask.bias": (2 * HEADS * KEYS + HEADS * VALUES,),
    "lag": (HEADS, 2 * FAR + 1),
    "join.weight": (2 * UNITS, HEADS * VALUES),
    "join.bias": (2 * UNITS,),
    "out.weight": (24, 2 * UNITS),
    "out.bias": (24,),
    **recurrent_shapes("near", FRONT, UNITS, 4, ("", "_reverse")),
    **recurrent_shapes("wide", 2 * UNITS, UNITS, 4, ("", "_reverse")),
}
_log = logging.getLogger("antiphon.accompany")


def beat_rows(melody: Melody, first: int, last: int, meter: int) -> F32:
    """Network inputs of beats `first` to before `last`: `[beats, FEATURE_COUNT]`, pitch classes from C."""
    beats = np.arange(first, last)
    near = melody.rows(first, last)
    rows = np.zeros((len(beats), FEATURE_COUNT), np.float32)
    rows[:, :12] = np.minimum(melody.durations[near], 1.0)
    rows[:, 12:24] = np.minimum(melody.onsets[near], 1.0)
    rows[:, 24:36] = melody.held[near]
    rows[np.arange(len(beats)), 36 + np.array(places(meter))[beats % meter]] = 1.0
    return rows


def rotate_to_tonic(rows: F32, tonic: int, groups: Sequence[int] = GROUPS) -> F32:
    """Rows with pitch classes relative to `tonic`. groups: offsets of the groups of twelve."""
    turned = rows.copy()
    for group in groups:
        turned[:, group : group + 12] = np.roll(rows[:, group : group + 12], -tonic, axis=1)
    return turned


def convert_model_arrays(
    model: str, arrays: dict[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, F32]:
    """Returns a model's arrays by name. Raises `ModelError`, with the name of an array missing or of another shape."""
    try:
        return {
            name: np.ascontiguousarray(find_array(arrays, name, *shape), np.float32) for name, shape in shapes.items()
        }
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from None


def combine_chord_probabilities(chances: F32, by_key: F32, weights: F32, tables: float) -> F32:
    """Combines the chord probabilities of the tables and a network.

    `chances`: of the tables, `[24]`. `by_key`: of the network in each of the twelve major keys, `[12, 24]`, by chords
    from C. `weights`: of the keys, as in a tracker: `[phases, 2, 12]`. `tables`: exponent of the tables' probabilities.
    """
    shares = shares_of(weights)
    by_network = shares @ by_key
    # what a fixed key does not have stays out, however sure the network is
    allowed = np.where(chances > _NONE, (chances + 1e-9) ** np.float32(tables), 0.0)
    mixed: F32 = allowed * (by_network / shares.sum() + 1e-9)
    mixed /= mixed.sum()
    return mixed


def shares_of(weights: F32) -> F32:
    """Weights of the twelve major keys: a minor key has the notes of the major key three semitones above it."""
    by_mode = weights.sum(axis=0)
    return np.asarray(by_mode[0] + np.roll(by_mode[1], 3))


class ChordNetwork:
    """The network of a whole melody. It holds no state."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Takes the arrays by name. Raises `ModelError`: they do not fit this network."""
        self._arrays = convert_model_arrays(MODEL, arrays, _SHAPES)

    def chances(self, rows: F32) -> F32:
        """Probabilities of the 24 chords on each beat, `[beats, 24]`, relative to one major key's tonic."""
        a = self._arrays
        padded = np.pad(rows, ((NEAR // 2, NEAR // 2), (0, 0)))
        around = np.lib.stride_tricks.sliding_window_view(padded, NEAR, axis=0).reshape(len(rows), -1)
        state = np.maximum(around @ a["front.weight"].reshape(FRONT, -1).T + a["front.bias"], 0.0)
        state = self._both_ways("near", state)
        state = self._both_ways("wide", state + self._elsewhere(state))
        return softmax(state @ a["out.weight"].T + a["out.bias"])

    def _both_ways(self, layer: str, rows: F32) -> F32:
        return np.concatenate(
            (
                self._run_layer_direction(layer, "", rows),
                self._run_layer_direction(layer, "_reverse", rows[::-1])[::-1],
            ),
            axis=1,
        )

    def _run_layer_direction(self, layer: str, way: str, rows: F32) -> F32:
        """Runs one direction of a layer: `[beats, UNITS]`."""
        weights = [self._arrays[f"{layer}.{name}_l0{way}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        entering, back = rows @ weights[0].T + weights[2] + weights[3], weights[1].T.copy()
        state = kept = np.zeros(UNITS, np.float32)
        result = np.empty((len(rows), UNITS), np.float32)
        for n, row in enumerate(entering):
            enters, stays, fresh, leaves = np.split(row + state @ back, 4)
            kept = sigmoid(stays) * kept + sigmoid(enters) * np.tanh(fresh)
            result[n] = state = sigmoid(leaves) * np.tanh(kept)
        return result

    def _elsewhere(self, state: F32) -> F32:
        """Attention output of each beat, by similarity and distance."""
        a = self._arrays
        asked, keys, values = np.split(state @ a["ask.weight"].T + a["ask.bias"], (HEADS * KEYS, 2 * HEADS * KEYS), 1)
        at = np.arange(len(state))
        lags = np.clip(at[None, :] - at[:, None], -FAR, FAR) + FAR
        found = []
        for head in range(HEADS):
            mine = slice(head * KEYS, (head + 1) * KEYS)
            fit = softmax(asked[:, mine] @ keys[:, mine].T * np.float32(KEYS**-0.5) + a["lag"][head][lags])
            found.append(fit @ values[:, head * VALUES : (head + 1) * VALUES])
        return np.asarray(np.concatenate(found, axis=1) @ a["join.weight"].T + a["join.bias"], np.float32)


class WholeMelody:
    """Chord probabilities by the network on the beats of a completely known melody."""

    def __init__(self, network: ChordNetwork, melody: Melody, ends: int, meter: int) -> None:
        self._network = network
        self._rows = beat_rows(melody, 0, ends + AFTER, meter)
        self._found: dict[int, F32] = {}

    def mix(self, chances: F32, beat: int, weights: F32) -> F32:
        """Chord probabilities at a beat, tables and network combined. weights: as of a tracker."""
        shares, by_key = shares_of(weights), np.zeros((12, 24), np.float32)
        for tonic in np.flatnonzero(shares >= MIN_KEY_WEIGHT * shares.sum()):
            by_key[tonic] = self._in_key(int(tonic))[beat]
        return combine_chord_probabilities(chances, by_key, weights, TABLES)

    def _in_key(self, tonic: int) -> F32:
        """Chord probabilities from C, given the key of `tonic`."""
        if tonic not in self._found:
            rows = rotate_to_tonic(self._rows, tonic)
            parts = [self._network.chances(rows[n : n + STRETCH]) for n in range(0, len(rows), STRETCH)]
            by_root = np.concatenate(parts).reshape(-1, 2, 12)
            self._found[tonic] = np.roll(by_root, tonic, axis=2).reshape(-1, 24)
        return self._found[tonic]


def softmax(x: F32) -> F32:
    high = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(high / high.sum(axis=-1, keepdims=True), np.float32)


def read_network(model: str, make: Callable[[dict[str, NDArray[Any]]], Network]) -> Network | None:
    """Returns the installed network; None, with a warning, if missing or changed: then only the tables are used."""
    try:
        return make(read_weights(model))
    except ModelError as error:
        _log.warning("%s; accompany goes by its tables alone", error)
        return None


@cache
def installed_network() -> ChordNetwork | None:
    """The installed network, as of `read_network`."""
    return read_network(MODEL, ChordNetwork)


def network_for_melody(melody: Melody | None, ends: int, meter: int) -> WholeMelody | None:
    """Network on a melody up to a beat; None without a melody, or network."""
    network = None if melody is None else installed_network()
    return None if melody is None or network is None else WholeMelody(network, melody, ends, meter)
