"""Key and chord of a melody, beat by beat: two hidden Markov models over the same 24 keys.

The first is generative: its states are a key and a chord in it, its observations the pitch classes of each beat; it
estimates key and downbeat. The second finds the chord within each key: its transitions are the same, its
observations are windows of melody around the beat (without lookahead: before it), scored by linear discriminants
(Fisher). The result is the mean over keys and bar phases. The tables are counted from POP909 by `training`. After
Raphael and Stoddard, "Functional harmonic analysis using probabilistic models" (2004), and Simon, Morris and Basu,
"MySong" (2008).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_accompany.harmony.chords import tones
from antiphon_accompany.harmony.melody import Melody

# ---- Tables of `harmony`: counted from songs, or diatonic defaults if not installed

MODEL = "accompany-harmony"
PAST = ((-8, -4), (-4, -2), (-2, -1), (-1, 0))
AHEAD = ((0, 1), (1, 2), (2, 4), (4, 8))
WINDOWS = ((-3, 1), (-2, 2), (-1, 3), (0, 4), (-1, 1), (0, 2), (-16, -15), (-8, -7), (8, 9), (16, 17))
"""Windows of the melody in beats relative to the current beat; near single-beat ones also count onsets."""
_COMMON = ({0: 6, 5: 4, 7: 4, 21: 3, 14: 2, 16: 1}, {12: 6, 17: 3, 8: 4, 3: 2, 10: 3, 19: 2, 7: 1})
DIATONIC = tuple(tuple(shares) for shares in _COMMON)
"""Chords of a major and a minor key, relative to the tonic; the minor key has both dominants."""
_CHANGE = (0.8, 0.05, 0.4, 0.05)
_log = logging.getLogger("antiphon.accompany")


@dataclass(frozen=True)
class HarmonyTables:
    """Tables for the modes major, minor, with chords relative to the tonic.

    first: `[2, 24]`, a chord's share.  next: `[4, 2, 24, 24]`, by place in the bar, from chord to chord.
    heard: `[2, 24, 24]`, log chance of a beat's 12 durations and 12 onsets (weighted), by chord.
    past, around: `[4, 2, features + 1, 24]`, the discriminants without and with lookahead.
    """

    first: F32
    next: F32
    heard: F32
    past: F32
    around: F32

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> HarmonyTables:
        """Takes the arrays by name, in any precision. Raises `ModelError`: they do not fit."""
        shapes: dict[str, tuple[int, ...]] = {"first": (2, 24), "next": (4, 2, 24, 24), "heard": (2, 24, 24)}
        shapes |= {
            "past": (4, 2, _groups(PAST) * 12 + 1, 24),
            "around": (4, 2, _groups(PAST + AHEAD + WINDOWS) * 12 + 1, 24),
        }
        return cls(**{name: find_array(arrays, name, *shape).astype(np.float32) for name, shape in shapes.items()})


def _groups(windows: tuple[tuple[int, int], ...]) -> int:
    """Number of groups of twelve features: each window, onsets of single-beat ones, held notes."""
    return sum(1 + is_near_beat(*window) for window in windows) + 1


def is_near_beat(first: int, last: int) -> bool:
    """Whether a window is a single beat near the current one."""
    return last - first == 1 and abs(first) <= 2


@cache
def installed_tables() -> HarmonyTables:
    """The installed tables; the defaults, with a warning, if missing or changed."""
    try:
        return HarmonyTables.of(read_weights(MODEL))
    except ModelError as error:
        _log.warning("%s; accompany goes by plain rules of harmony", error)
        return plain()


def plain() -> HarmonyTables:
    """Default tables: diatonic chords that change with the bar, and melody notes that are mostly chord tones."""
    first = np.full((2, 24), 0.05)
    fits = np.full((24, 12), 0.05)
    for chord in range(24):
        fits[chord, list(tones(chord))] = (0.3, 0.24, 0.26)
    for mode, shares in enumerate(_COMMON):
        for chord, share in shares.items():
            first[mode, chord] = share
    first /= first.sum(axis=1, keepdims=True)
    change = np.array(_CHANGE)[:, None, None, None]
    following = (1.0 - change) * np.eye(24) + change * first[None, :, None, :]
    fits = np.log(fits / fits.sum(axis=1, keepdims=True)).T
    melody = np.broadcast_to(np.concatenate((0.6 * fits, 0.4 * fits)), (2, 24, 24))
    arrays = {"first": first, "next": following, "heard": melody}
    for name, windows, window_count in (("past", PAST, 5), ("around", PAST + AHEAD + WINDOWS, 7)):
        # the beat before, or with lookahead the beat itself and the next
        table = np.zeros((4, 2, _groups(windows) * 12 + 1, 24))
        for group, weight in ((4, 0.3), (5, 0.2)) if window_count == 5 else ((6, 1.0), (7, 0.5), (8, 0.8), (10, 0.5)):
            table[:, :, group * 12 : group * 12 + 12] = weight * fits
        table[:, :, -1] = np.log(first)
        arrays[name] = table
    return HarmonyTables.of(arrays)


# ---- Key and chord of a melody, beat by beat: two hidden Markov models over the same 24 keys

F32 = NDArray[np.float32]
REACH = 17
"""Beats before and after the current one used by the discriminants."""
MAX_DURATION = 0.35
"""Upper bound of a pitch class in a window, with lookahead: its presence matters more than its length."""
KEY_CHANGE, KEY_CHANGE_LIVE = 1e-3, 3e-3
"""Probability of a new key at each beat, with a file's lookahead and without."""
MEMORY, RECENT, FADE = 512, 4, 0.75
"""Past beats searched for an echo, the number of latest beats excluded, and the weight of each earlier beat of a
comparison."""
ECHO_CHANGE, SHARPNESS_OF_ECHO, DOUBT, MOVED = 0.2, 40.0, 0.6, 0.2
"""Probability of a new key at a beat by a certain echo, exponent of a match, the match that means no echo, and the
weight of a transposed echo beside an untransposed one; tuned on songs."""
SHARPNESS, PRIOR, INERTIA = 0.65, 0.2, 0.6
"""Exponents of the discriminants, of the chord's own frequency in them, and of the transitions; tuned by songs."""
PHASES = (0.7, 0.08, 0.14, 0.08)
"""Prior of the first beat of the bar: at the given place, or one, two or three beats later."""
PHASES_AHEAD = (0.4, 0.15, 0.3, 0.15)
"""Prior of the bar's first beat with lookahead, where the melody is more decisive."""
_PLACES = {1: (0,), 2: (0, 2), 3: (0, 1, 3), 4: (0, 1, 2, 3), 5: (0, 1, 3, 2, 3), 6: (0, 1, 3, 2, 1, 3)}
_DOWN = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
"""For each interval, the pitch class or tonic that moves to each one when transposed up by the interval."""
_ROLL = (np.arange(12)[None, :] + np.arange(12)[:, None]) % 12
_CHORD = np.array([[24 * k + c // 12 * 12 + (c - k) % 12 for c in range(24)] for k in range(12)])
"""Index of each chord in `[12, 24]`: tonic, chord relative to it."""


def places(meter: int) -> tuple[int, ...]:
    """Equivalent 4/4 beat for each beat of a bar: 0 the first, 2 the other strong one."""
    return _PLACES.get(meter) or tuple(0 if n == 0 else 2 if n == meter // 2 else 1 + n % 2 * 2 for n in range(meter))


def features(melody: Melody, beat: int, known: int) -> F32:
    """Input of the discriminants at `beat`: `[groups, 12]`, pitch classes from C.

    `beat`: the current beat. `known`: beats of the melody from `beat` on that are known; later ones are treated as
    silent.
    """
    ahead = known > 0
    near = melody.rows(beat - REACH, beat + REACH if ahead else beat)
    durations, onsets = melody.durations[near], melody.onsets[near]
    if ahead:
        durations[REACH + known :] = onsets[REACH + known :] = 0.0
    groups = []
    for first, last in PAST + AHEAD + WINDOWS if ahead else PAST:
        window = durations[first + REACH : last + REACH]
        groups.append(window.sum(axis=0) * (last - first) ** -0.5)
        if is_near_beat(first, last):
            groups.append(onsets[first + REACH])
    groups.append(melody.held[beat % melody.size])
    windows = np.array(groups, np.float32)
    return np.minimum(windows, MAX_DURATION) if ahead else windows


def features_by_tonic(seen: F32) -> F32:
    """Features relative to each of twelve tonics, and a constant 1: `[12, groups * 12 + 1]`."""
    rows = np.ones((12, seen.size + 1), np.float32)
    rows[:, :-1] = seen[:, _ROLL].transpose(1, 0, 2).reshape(12, -1)
    return rows


def echo_match(alike: F32, energies: F32, energy: np.float32) -> F32:
    """Returns the similarity of past passages to the present one, 1 if equal, from their products and energies."""
    return np.asarray(2.0 * alike / (energies + energy + 1.0))


def echo_weights(match: F32, sharpness: float, doubt: float) -> tuple[F32, np.float64]:
    """Weights of echoes by their matches, and the weight of no echo, whose match is `doubt`."""
    weights = np.where(match > 0.0, np.exp(sharpness * (match - 1.0)), 0.0)
    return weights, np.float64(np.exp(sharpness * (doubt - 1.0)))


class KeyEcho:
    """Estimates the key from past passages that match the present melody, also transposed: their key, transposed alike.

    It detects the key of a tune that continues in another key long before the notes that the old key lacks.
    """

    def __init__(self) -> None:
        self._rows = np.zeros((MEMORY, 24), np.float32)
        self._energies = np.zeros(MEMORY, np.float32)
        self._keys = np.zeros((MEMORY, 2, 12), np.float32)
        self._alike = np.zeros((MEMORY, 12), np.float32)  # by place in the past, and interval

    def add_beat(self, durations: F32, onsets: F32) -> tuple[F32, float]:
        """Adds a complete beat of the melody; returns probabilities of the keys, `[2, 12]`, and a certainty, 0 to 1."""
        for kept in (self._rows, self._energies, self._keys):
            kept[:-1] = kept[1:]
        self._rows[-1] = np.concatenate((durations, onsets))
        self._energies[-1] = FADE * self._energies[-2] + (self._rows[-1] ** 2).sum()
        self._alike *= np.float32(FADE)
        self._alike += self._rows @ np.concatenate((durations[_ROLL], onsets[_ROLL]), axis=1).T
        match = echo_match(self._alike, self._energies[:, None], self._energies[-1])
        best = match[:-RECENT].argmax(axis=0)
        weights, doubt = echo_weights(match[best, np.arange(12)], SHARPNESS_OF_ECHO, DOUBT)
        weights[1:] *= MOVED
        moved = self._keys[best[:, None, None], np.arange(2)[None, :, None], _DOWN[:, None, :]]
        found = (np.tensordot(weights, moved, 1) + doubt / 24.0) / (weights.sum() + doubt)
        return found.astype(np.float32), float(weights.sum() / (weights.sum() + doubt))

    def keep(self, keys: F32) -> None:
        """Stores the keys `[2, 12]` of the last beat."""
        self._keys[-1] = keys


class HarmonyTracker:
    """Tracks the harmony of one melody. Call `add_beat` once a beat is past or known, and `decide` before it is played.

    States are `[phases, 2, 12, 24]`: bar phase, mode, tonic, chord relative to it.
    """

    def __init__(
        self,
        tables: HarmonyTables,
        meter: int = 4,
        key: int | None = None,
        phases: tuple[float, ...] = PHASES,
        *,
        live: bool = False,
    ) -> None:
        self._change = np.float32(KEY_CHANGE_LIVE if live else KEY_CHANGE)
        self._echoes = live and key is None
        self._tables = tables
        stiff = tables.next**INERTIA
        stiff /= stiff.sum(axis=-1, keepdims=True)
        at = places(meter)
        self.meter = meter
        # a bar whose beats differ from 4/4's is taken to begin where it is said to
        count = len(phases) if meter == len(phases) else 1
        turn = [[at[(n - f) % meter] for f in range(count)] for n in range(meter)]
        self._free = [tables.next[t] for t in turn]
        self._stiff = [stiff[t] for t in turn]
        self._past = [tables.past[t] for t in turn]
        self._around = [tables.around[t] for t in turn]
        self._log_first = SHARPNESS * PRIOR * np.log(tables.first)[None, :, None, :]
        shares = np.array(phases if count > 1 else (1.0,), np.float32)
        held = np.full((2, 12), 1.0 / 24.0, np.float32)
        if key is not None:
            held[:] = 0.0
            held[key // 12, key % 12] = 1.0
        self._start = (shares[:, None, None, None] * held[None, :, :, None] * tables.first[None, :, None, :]).astype(
            np.float32
        )
        self._spread = held[None, :, :, None] * tables.first[None, :, None, :]
        self._chords = np.broadcast_to(tables.first[None, :, None, :], self._start.shape).astype(np.float32)
        # with a fixed key, only its own chords
        own = np.zeros((2, 24), np.float32)
        if key is not None:
            for mode, chords in enumerate(DIATONIC):
                own[mode] = np.where(np.isin(np.arange(24), chords), 0.0, -1e9)
        self._own = own[None, :, None, :]
        self.reset()

    def reset(self) -> None:
        self._seen: dict[int, F32] = {}
        self._both = self._start.copy()
        self._chord = self._chords.copy()
        self.weights = self._both.sum(axis=3)
        self._echo = KeyEcho() if self._echoes else None

    @property
    def key(self) -> int:
        """The likeliest key, 0 to 23."""
        return int(self.weights.sum(axis=0).reshape(24).argmax())

    @property
    def phase(self) -> int:
        """Most likely offset in beats of the bar line from the given place."""
        return int(self.weights.sum(axis=(1, 2)).argmax())

    def add_beat(self, melody: Melody, beat: int) -> None:
        """Processes a complete beat of the melody and updates keys and phases."""
        place = beat % self.meter
        row = beat % melody.size
        seen = np.concatenate((melody.durations[row][_ROLL], melody.onsets[row][_ROLL]), axis=1)
        score = seen @ self._tables.heard
        self._both = self._both @ self._free[place]
        total = self._both.sum(axis=(1, 2, 3), keepdims=True)
        self._both += self._change * (total * self._spread - self._both)
        if self._echo is not None:
            told, certain = self._echo.add_beat(melody.durations[row], melody.onsets[row])
            moved = told[None, :, :, None] * self._tables.first[None, :, None, :]
            self._both += np.float32(ECHO_CHANGE * certain) * (total * moved - self._both)
        self._both *= np.exp(score - score.max())
        self._both /= self._both.sum()
        self.weights = self._both.sum(axis=3)
        if self._echo is not None:
            self._echo.keep(self.weights.sum(axis=0))

    def decide(self, melody: Melody, beat: int, known: int = 0) -> F32:
        """Probabilities of the 24 chords at `beat`, `[24]`.

        `beat`: the beat to be played. `known`: beats of the melody from `beat` on that are known.
        """
        place = beat % self.meter
        self._chord = self._chord @ self._stiff[place]
        self._chord *= self._chord_key_likelihoods(melody, beat, known)
        self._seen.pop(beat, None)
        self._chord /= self._chord.sum(axis=3, keepdims=True)
        if known <= REACH:
            return self._mean_chord_probabilities(self._chord)
        after = np.ones_like(self._chord)
        for later in range(beat + known - REACH, beat, -1):
            after *= self._chord_key_likelihoods(melody, later, REACH)
            after = after @ self._stiff[later % self.meter].transpose(0, 1, 3, 2)
            after /= after.max(axis=3, keepdims=True)
        return self._mean_chord_probabilities(self._chord * after)

    def predicted_chords(self, beat: int, count: int) -> list[int]:
        """Likeliest chords of `count` beats after `beat`, which was decided last, by the transitions alone."""
        state, chords = self._chord, []
        for later in range(beat + 1, beat + 1 + count):
            state = state @ self._stiff[later % self.meter]
            chords.append(int(self._mean_chord_probabilities(state).argmax()))
        return chords

    def _chord_key_likelihoods(self, melody: Melody, beat: int, known: int) -> F32:
        whole = self._seen.get(beat)
        if whole is not None:
            return whole
        tables = (self._around if known > 0 else self._past)[beat % self.meter]
        score: F32 = features_by_tonic(features(melody, beat, known)) @ tables
        score += self._own
        score -= score.max(axis=3, keepdims=True)
        score -= np.log(np.exp(score).sum(axis=3, keepdims=True))
        score *= np.float32(SHARPNESS)
        score -= self._log_first
        likelihood: F32 = np.exp(score)
        if known >= REACH:
            self._seen[beat] = likelihood
        return likelihood

    def _mean_chord_probabilities(self, state: F32) -> F32:
        state = state + np.float32(1e-30)
        share = state * (self.weights[..., None] / state.sum(axis=3, keepdims=True))
        by_key = share.sum(axis=0)
        chances: F32 = np.take(by_key.sum(axis=0), _CHORD).sum(axis=0)
        return chances
