"""Causal chord network of a beat, from past beats and the new onsets: the mean of two pairs of GRUs, in numpy.

It reads the melody relative to each of twelve keys at once and estimates each key's probability, as the tables of
`harmony` do. Each beat includes an echo: the continuation of similar passages in the past, which predicts the coming
beats of a song that repeats itself. `network` reads a file's whole melody. The network is trained by `antiphon train
harmony-live`.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import sigmoid
from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.network import (
    F32,
    combine_chord_probabilities,
    convert_model_arrays,
    read_network,
    recurrent_shapes,
    softmax,
)
from antiphon_accompany.harmony.tracker import echo_match, echo_weights, places

MODEL = "accompany-chords-live"
FEATURE_COUNT = 4 * 12 + 4
"""Number of features of a beat: durations and onsets of the previous beat, held notes, bar position, and new onsets."""
WHOLE, NOW = slice(0, 24), [*range(24, 36), *range(40, 52)]
"""Features of the previous beat, and of the beat's own onset."""
GROUPS = (0, 12, 24, 40)
"""Offsets of the groups of twelve pitch classes."""
MEMBERS, NEAR, FRONT, FIRST, SECOND = 2, 5, 128, 304, 240
"""Networks, beats and outputs of the convolution, and units of the two layers."""
AHEAD, REACH, MEMORY = 8, 16, 512
"""Number of beats in an echo, of beats compared, and of past beats searched for an echo."""
FADE, SHARPNESS, DOUBT, ONSET = 0.85, 25.0, 0.45, 2.0
"""Weight of earlier beats in a comparison, exponent of a match, the match that means no echo, weight of an onset."""
ECHO = AHEAD * 24 + 3
"""Number of features of an echo: durations and onsets of its beats, its best match, its certainty, and a zero."""
KEY_SHARE = 0.5
"""Exponent of the network's key probabilities beside the tracker's, which detects a new key sooner."""
MAX_BACKLOG = 8
"""Maximum beats in the backlog; earlier ones are dropped."""
BATCH_BEATS = 2
"""Beats per batch of the backlog."""
_SHAPES = {
    "front.weight": (FRONT, FEATURE_COUNT, NEAR),
    "front.bias": (FRONT,),
    "echo.weight": (FRONT, ECHO),
    "echo.bias": (FRONT,),
    "out.weight": (25, SECOND),
    "out.bias": (25,),
    **recurrent_shapes("near", 2 * FRONT, FIRST, 3),
    **recurrent_shapes("wide", FIRST, SECOND, 3),
}
FROM_C = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
"""For the key of each tonic, index of the network's root on C, C sharp and so on."""
_FADES = FADE ** np.arange(REACH, dtype=np.float32)


def beat_row(melody: Melody, beat: int, meter: int) -> F32:
    """Features of a beat at its onset, or if nothing changes up to it: `[FEATURE_COUNT]`, pitch classes from C."""
    before, now = (beat - 1) % melody.size, beat % melody.size
    row = np.zeros(FEATURE_COUNT, np.float32)
    lasted, row[24:36] = melody.durations_until(beat)
    row[:12] = np.minimum(lasted, 1.0)
    row[12:24] = np.minimum(melody.onsets[before], 1.0)
    row[36 + places(meter)[beat % meter]] = 1.0
    row[40:] = np.minimum(melody.onsets[now], 1.0)
    return row


def echo_ahead(known: F32) -> tuple[F32, F32]:
    """Likeness of each past beat to the coming one, and their energies, by the beats `[beats, FEATURE_COUNT]` known."""
    count, whole = len(known) + 1 - AHEAD, known[:, WHOLE]
    likeness, energy = np.zeros(count, np.float32), np.zeros(len(known) + 1, np.float32)
    power = (whole**2).sum(axis=1)
    for ago in range(1, REACH):
        likeness[ago:] += _FADES[ago] * (whole[: count - ago] @ whole[-ago])
        energy[ago:] += _FADES[ago] * power[: len(energy) - ago]
    return likeness, energy


def last_beat_echo(rows: F32, ahead: tuple[F32, F32] | None = None) -> F32:
    """Returns the echo of the last of the beats `[beats, FEATURE_COUNT]`: `[ECHO]`, pitch classes from C.

    `ahead`: result of `echo_ahead` for the beats before it.
    """
    likeness, energy = ahead or echo_ahead(rows[:-1])
    count, whole, now = len(likeness), rows[:, WHOLE], rows[:, NOW]
    energy = energy + (whole**2).sum(axis=1) + ONSET * (now**2).sum(axis=1)
    likeness = likeness + whole[:count] @ whole[-1] + ONSET * (now[:count] @ now[-1])
    match = echo_match(likeness, energy[:count], energy[-1])
    weights, doubt = echo_weights(match, SHARPNESS, DOUBT)
    weights /= weights.sum() + doubt
    found = np.zeros(ECHO, np.float32)
    for ahead_by in range(AHEAD):
        found[24 * ahead_by : 24 * (ahead_by + 1)] = weights @ whole[1 + ahead_by : 1 + ahead_by + count]
    found[AHEAD * 24 :] = max(0.0, float(match.max())), weights.sum(), 0.0
    return found


def _indices_by_tonic(features: int, groups: Sequence[int]) -> NDArray[np.intp]:
    """Feature indices with the groups of twelve pitch classes relative to each of twelve tonics: `[12, features]`."""
    places_of = np.tile(np.arange(features), (12, 1))
    for group in groups:
        places_of[:, group : group + 12] = group + (np.arange(12)[None, :] + np.arange(12)[:, None]) % 12
    return places_of


BEAT_BY_TONIC = _indices_by_tonic(FEATURE_COUNT, GROUPS)
ECHO_BY_TONIC = _indices_by_tonic(ECHO, range(0, AHEAD * 24, 12))
"""Indices of the features of a beat, and of an echo, relative to each of twelve tonics."""


class ChordProbabilities(NamedTuple):
    """Chances of the chords in each key, from C, and of the keys: `[12, 24]`, `[12]`."""

    chords: F32
    keys: F32


class LiveChordNetwork:
    """Weights and layers of the network, without state."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Loads the arrays by name. Raises `ModelError`: they do not fit."""
        shapes = {f"{n}.{name}": shape for n in range(MEMBERS) for name, shape in _SHAPES.items()}
        found = convert_model_arrays(MODEL, arrays, shapes)
        self._members = [{name: found[f"{n}.{name}"] for name in _SHAPES} for n in range(MEMBERS)]
        for member in self._members:
            front = member["front.weight"].transpose(2, 1, 0).reshape(NEAR * FEATURE_COUNT, FRONT)
            member["front.weight"] = np.ascontiguousarray(front).T
            for name, array in member.items():
                member[name] = array.T if name == "front.weight" else np.ascontiguousarray(array.T)

    @staticmethod
    def states() -> list[F32]:
        """States of a silent past: of both layers of each member, `[keys, units]`."""
        return [np.zeros((12, units), np.float32) for _ in range(MEMBERS) for units in (FIRST, SECOND)]

    def precompute(self, layer: int, state: F32) -> F32:
        """Precomputes the state part of a layer's products for the next beat, over half of all products."""
        member, name = self._members[layer // 2], ("near", "wide")[layer % 2]
        return np.asarray(state @ member[f"{name}.weight_hh_l0"] + member[f"{name}.bias_hh_l0"])

    def step(
        self, rows: F32, echo: F32, states: list[F32], recalled: Sequence[F32]
    ) -> Iterator[ChordProbabilities | None]:
        """Computes a beat in parts: yields None after each part, and its chords and keys after the last.

        `rows`: rows of the last `NEAR` beats, `[keys, NEAR * FEATURE_COUNT]`. `echo`: `[keys, ECHO]`. `states`: as from
        `states`; advanced by the beat. `recalled`: result of `recalled` for the states of the first layers.
        """
        chords, keys = np.zeros((12, 24), np.float32), np.zeros(12, np.float32)
        for n, member in enumerate(self._members):
            front = rows @ member["front.weight"] + member["front.bias"]
            from_echo = echo @ member["echo.weight"] + member["echo.bias"]
            entering = np.maximum(np.concatenate((front, from_echo), axis=1), 0.0)
            for layer, name in enumerate(("near", "wide"), 2 * n):
                held = recalled[layer] if layer < len(recalled) else self.precompute(layer, states[layer])
                fed = entering @ member[f"{name}.weight_ih_l0"] + member[f"{name}.bias_ih_l0"]
                units = states[layer].shape[1]
                gates = sigmoid(fed[:, : 2 * units] + held[:, : 2 * units])
                fresh = np.tanh(fed[:, 2 * units :] + gates[:, :units] * held[:, 2 * units :])
                states[layer] = entering = fresh + gates[:, units:] * (states[layer] - fresh)
                yield None
            out = entering @ member["out.weight"] + member["out.bias"]
            key = softmax(out[:, 24])
            chords += key[:, None] * softmax(out[:, :24])
            keys += key
        by_root = (chords / keys[:, None]).reshape(12, 2, 12)
        keys *= np.float32(1.0 / MEMBERS)
        yield ChordProbabilities(np.take_along_axis(by_root, FROM_C[:, None, :], axis=2).reshape(12, 24), keys)


class LiveChords:
    """Network probabilities along one melody, beat by beat."""

    def __init__(self, network: LiveChordNetwork, meter: int) -> None:
        self._network, self._meter = network, meter
        self.restart()

    def restart(self) -> None:
        """Clears all beats."""
        self._rows = np.zeros((MEMORY + MAX_BACKLOG, FEATURE_COUNT), np.float32)
        self._behind = 0  # the last rows that the states do not know yet
        self._asked = False
        self._forget()

    def _forget(self) -> None:
        self._states = self._network.states()
        self._go_on()

    def _go_on(self) -> None:
        self._recalled: list[F32] = []
        self._ahead: tuple[F32, F32] | None = None
        self._coming: F32 | None = None  # row of the beat whose parts are being computed
        self._heard: ChordProbabilities | None = None

    def skip(self, melody: Melody, beat: int) -> None:
        """Stores a beat whose chord is not needed; `mixed` processes up to `MAX_BACKLOG` of them."""
        self._asked = False
        self._add(melody, beat)

    def prepare(self, melody: Melody, beat: int, *, soon: bool) -> bool:
        """Computes part of the coming beat, or a skipped beat. Returns False if nothing is left to compute.

        `soon`: the beat is near, so it is computed on the assumption that nothing changes before it.
        """
        if not self._asked:
            return False
        if self._behind:
            self._step()
        elif len(self._recalled) < len(self._states):
            layer = len(self._recalled)
            self._recalled.append(self._network.precompute(layer, self._states[layer]))
        elif self._ahead is None:
            self._ahead = echo_ahead(self._rows[1 - MEMORY :])
        elif soon:
            done = self._heard
            coming = beat_row(melody, beat, self._meter)
            return self._part(np.concatenate((self._rows[1 - MEMORY :], coming[None]))) is not done or done is None
        else:
            return False
        return True

    def mix(self, chances: F32, melody: Melody, beat: int, weights: F32) -> F32:
        """Returns the network's chord probabilities at a beat, for the chords to which the tables give `chances`.

        On the first beat after several skipped ones the tables alone decide, and `prepare` catches up before the next.
        `melody`: the melody, complete up to the beat, with the onsets on the beat. `beat`: the beat after the one last
        requested.
        """
        self._add(melody, beat)
        behind = not self._asked and self._behind > BATCH_BEATS
        self._asked = True
        if behind:
            return chances
        while self._behind > 1:
            self._step()
        heard = self._step()
        # a minor key has the chances of its major
        keys = (np.stack((heard.keys, np.roll(heard.keys, -3))) + np.float32(1e-6)) ** np.float32(KEY_SHARE)
        return combine_chord_probabilities(chances, heard.chords, weights * keys, tables=0.0)

    def _add(self, melody: Melody, beat: int) -> None:
        self._rows[:-1] = self._rows[1:]
        self._rows[-1] = beat_row(melody, beat, self._meter)
        if self._behind == MAX_BACKLOG:
            self._forget()
        self._behind = min(MAX_BACKLOG, self._behind + 1)

    def _step(self) -> ChordProbabilities:
        """Advances the states by the first unprocessed beat. Returns the chords and keys of that beat."""
        end = len(self._rows) - self._behind + 1
        while (heard := self._part(self._rows[end - MEMORY : end])) is None:
            pass
        self._behind -= 1
        self._states = self._moved
        self._go_on()
        return heard

    def _part(self, known: F32) -> ChordProbabilities | None:
        """Computes a part of the last beat of `[MEMORY, FEATURE_COUNT]`. Returns its chords once complete, or None."""
        if self._coming is None or not np.array_equal(self._coming, known[-1]):
            rows = known[-NEAR:, BEAT_BY_TONIC].transpose(1, 0, 2).reshape(12, -1)
            echo = last_beat_echo(known, self._ahead)[ECHO_BY_TONIC]
            self._coming, self._heard, self._moved = known[-1].copy(), None, list(self._states)
            self._parts = self._network.step(rows, echo, self._moved, self._recalled)
        elif self._heard is None:
            self._heard = next(self._parts)
        return self._heard


@cache
def installed_live_network() -> LiveChordNetwork | None:
    """The installed network, as `read_network`."""
    return read_network(MODEL, LiveChordNetwork)
