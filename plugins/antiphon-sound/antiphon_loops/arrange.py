"""Arranger: selects each bar's loops from the analysis, by the rules and a seed. Pure functions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, UsageError
from antiphon.signal.fit_vector import fit_compatibility, transpose_fit
from antiphon_loops.record import MOODS, ROLES, Loop, scale_of
from antiphon_loops.rules import Rules

KEYS = ("auto", *(f"{name} {mode}" for mode in ("major", "minor") for name in SHARP_NAMES))
GROUPS = {"harmonic": ("chords", "melody"), "percussion": ("drums",), "all": ROLES}
_AUDIBLE = -35.0
VOICE = "voice-"


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """Request for an arrangement of loops."""

    bpm: float
    bars: int = 32  # bars of a round
    key: str = "auto"  # a key, or "auto"
    mood: str = "any"  # one of `MOODS`
    seed: int = 1
    instruments: tuple[str, ...] = ROLES  # roles, in the order of `ROLES`
    style: str = ""  # a label, a word for a groove, or one of loops' names; "" for any
    voice: bool = True  # whether the loops of voices play, whose names begin with `VOICE`


@dataclass(frozen=True, slots=True)
class LoopChoice:
    """A loop with its playing parameters."""

    loop: Loop
    role: str
    bars: int  # bars it fills: its own number, half or twice that
    shift: int  # semitones of transposition


@dataclass(frozen=True, slots=True)
class Layer:
    """A loop in one bar of an arrangement."""

    choice: int  # index into `Arrangement.choices`
    enters: float
    turn: int = 0  # bars by which it is ahead


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A cycle of bars with their loops.

    `fit`: compatibility of its loops, 0 to 1: the mean over pairs that sound together; None without `fit`.
    """

    request: LoopRequest
    key: str | None  # key of all loops, None where no loop has one
    choices: tuple[LoopChoice, ...]
    bars: tuple[tuple[Layer, ...], ...]  # the layers of each bar
    fit: float | None = None


def parse_instrument_roles(text: str) -> tuple[str, ...]:
    """Returns the roles of an `instruments` text: "drums, bass" selects, "-melody" removes, "" is all.

    Raises UsageError: a role is unknown.
    """
    chosen: set[str] = set()
    removed: set[str] = set()
    for word in text.replace(";", ",").split(","):
        name = word.strip().lower()
        if not name:
            continue
        into = removed if name.startswith(("-", "!")) else chosen
        name = name.lstrip("-!+ ")
        names = GROUPS.get(name, (name,))
        if not set(names) <= set(ROLES):
            raise UsageError(
                f"instruments takes {', '.join((*ROLES, *GROUPS))}, or these with a - before, not {name!r}"
            )
        into |= set(names)
    return tuple(r for r in ROLES if r in (chosen or set(ROLES)) - removed)


def arrange(loops: Sequence[Loop], request: LoopRequest, rules: Rules) -> Arrangement:
    """Arranges a cycle of `request.bars` bars. Without a matching loop it has no layers and is silent.

    With the analysis `fit`, returns the most compatible of `rules.takes` takes.
    """
    able = sorted((x for x in loops if max(x.levels, default=-99.0) > -60.0), key=lambda x: x.file)
    if not request.voice:
        able = [x for x in able if not x.file.rsplit("/", 1)[-1].startswith(VOICE)]
    key = _key(able, request)
    roles = {
        role: _Candidates([x for x in able if x.role == role] or _substitutes(role, able, request), key, request, rules)
        for role in request.instruments
    }
    count = rules.takes if sum(len(x.fits) > 0 for x in roles.values()) > 1 else 1
    first = _take(roles, key, request, rules, request.seed)
    others = (_take(roles, key, request, rules, (request.seed, n)) for n in range(1, count))
    # fewer loops go together more easily: a piece that leaves out what the first one plays is no better
    full = [
        first,
        *(take for take in others if _count_loops(take) >= _count_loops(first) and _roles(take) >= _roles(first)),
    ]
    return max(full, key=lambda take: take.fit or 0.0)


def _count_loops(take: Arrangement) -> int:
    """Number of loops in all bars."""
    return sum(map(len, take.bars))


def _roles(take: Arrangement) -> set[str]:
    return {choice.role for choice in take.choices}


def _take(
    roles: Mapping[str, _Candidates], key: str | None, request: LoopRequest, rules: Rules, seed: object
) -> Arrangement:
    """Creates one take of an arrangement; `seed` selects it."""
    choices: list[LoopChoice] = []
    by_role: dict[str, list[int]] = {}
    groove = np.zeros(16)
    beside: list[NDArray[np.float64]] = []
    for role, candidates in roles.items():
        ranked = candidates.ranked(seed, groove, beside, rules)
        by_role[role] = list(range(len(choices), len(choices) + len(ranked)))
        choices += [LoopChoice(x, role, fit(x, request.bpm)[1], semitones_to_key(x, key)) for x in ranked]
        if ranked and ranked[0].fit:
            beside.append(_transposed_fit_vector(choices[-len(ranked)]))
        if role == "drums" and ranked:
            groove = np.array(ranked[0].pattern)
    bars = _bars([r for r in roles if by_role[r]], by_role, choices, request, rules, seed)
    used = sorted({layer.choice for bar in bars for layer in bar})
    place = {old: new for new, old in enumerate(used)}
    layers = tuple(tuple(Layer(place[x.choice], x.enters, x.turn) for x in bar) for bar in bars)
    taken = tuple(choices[n] for n in used)
    return Arrangement(request, key, taken, layers, mean_compatibility(taken, layers))


def mean_compatibility(choices: Sequence[LoopChoice], bars: Sequence[Sequence[Layer]]) -> float | None:
    """Mean compatibility of a piece's loops, 0 to 1, over each bar's pairs; None if none is known."""
    pairs = Counter(pair for bar in bars for pair in combinations(bar, 2))
    known = {
        layer: _transposed_fit_vector(choices[layer.choice], layer.turn)
        for pair in pairs
        for layer in pair
        if choices[layer.choice].loop.fit
    }
    counted = [(one, other, count) for (one, other), count in pairs.items() if one in known and other in known]
    if not counted:
        return None
    found = fit_compatibility(np.array([known[one] @ known[other] for one, other, _ in counted]))
    return float(np.average(found, weights=[count for *_, count in counted]))


def _transposed_fit_vector(choice: LoopChoice, turn: int = 0) -> NDArray[np.float64]:
    return transpose_fit(choice.loop.fit["fit"], choice.shift, 4 * turn)


def fit(loop: Loop, bpm: float) -> tuple[float, int]:
    """Returns the smallest stretch factor of a loop at `bpm`, half or double of it, and the number of bars then."""
    options = [(bpm / loop.bpm, loop.bars), (bpm / (2 * loop.bpm), 2 * loop.bars)]
    if loop.bars % 2 == 0:
        options.append((bpm / (loop.bpm / 2), loop.bars // 2))
    return min(options, key=lambda o: abs(np.log2(o[0])))


def semitones_to_key(loop: Loop, key: str | None) -> int:
    """Semitones, -5 to 6, that transpose a loop into the key or its relative."""
    if loop.key is None or key is None:
        return 0
    return (scale_of(key) - scale_of(loop.key) + 5) % 12 - 5


def outside_share(loop: Loop, key: str | None) -> float:
    """Share of a loop's sound, 0 to 1, on notes outside its target key."""
    if key is None or not loop.chroma:
        return 0.0
    inside = {(scale_of(key) - semitones_to_key(loop, key) + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
    return sum(part for place, part in enumerate(loop.chroma) if place not in inside)


def _substitutes(role: str, loops: Sequence[Loop], request: LoopRequest) -> list[Loop]:
    """Returns melodies in place of chords, or vice versa, for a library with only one of them."""
    other = {"chords": "melody", "melody": "chords"}.get(role, "")
    return [] if other in request.instruments else [x for x in loops if x.role == other]


def chance(*of: object) -> float:
    """Deterministic random number, 0 to 1, of its arguments."""
    text = "\0".join(map(str, of)).encode(errors="backslashreplace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big") / (1 << 56)


def _key(loops: Sequence[Loop], request: LoopRequest) -> str | None:
    """The key of the request; for "auto" the one that needs the smallest transpositions."""
    if request.key != "auto":
        return request.key
    keyed = [x for x in loops if x.key is not None and x.role in request.instruments]
    keyed = keyed or [x for x in loops if x.key is not None]
    if not keyed:
        return None
    costs = {}
    for key in KEYS[1:]:
        way = sum(abs(semitones_to_key(x, key)) * (0.3 + x.key_sure) for x in keyed) / len(keyed)
        same = sum(x.key == key for x in keyed) / len(keyed)
        wanted, _ = MOODS[request.mood]
        bright = (wanted - 0.5) * (1 if key.endswith("major") else -1)
        costs[key] = way - 2.0 * same - bright + 0.3 * chance(request.seed, "key", key)
    return min(costs, key=costs.__getitem__)


class _Candidates:
    """Candidate loops of a role, with scores independent of the other loops.

    `fits`: `[n, :]`, transposed values of `fit`; empty if a loop lacks them.
    """

    def __init__(self, loops: Sequence[Loop], key: str | None, request: LoopRequest, rules: Rules) -> None:
        self._loops = loops
        self._costs = np.array([_cost(x, key, request, rules) for x in loops])
        patterns = np.array([x.pattern or (0.0,) * 16 for x in loops]).reshape(-1, 16)
        self._patterns = patterns / (np.linalg.norm(patterns, axis=1, keepdims=True) + 1e-9)
        whole = loops if all(x.fit for x in loops) else ()
        self.fits = np.array([transpose_fit(x.fit["fit"], semitones_to_key(x, key)) for x in whole])

    def ranked(
        self, seed: object, groove: NDArray[np.float64], beside: Sequence[NDArray[np.float64]], rules: Rules
    ) -> list[Loop]:
        """The best `rules.choices`, best first, given the drums' groove and the loops of other roles."""
        if not self._loops:
            return []
        draws = [0.002 + 0.996 * chance(seed, x.role, x.file) for x in self._loops]
        costs = self._costs + rules.chance * np.log(-np.log(draws))
        costs -= rules.groove * (self._patterns @ groove) / (np.linalg.norm(groove) + 1e-9)
        if len(self.fits) and beside:
            costs -= rules.fit * fit_compatibility(self.fits @ np.array(beside).T).mean(axis=1)
        order = sorted(range(len(costs)), key=lambda n: (costs[n], self._loops[n].file))
        return [self._loops[n] for n in order[: rules.choices]]


def _cost(loop: Loop, key: str | None, request: LoopRequest, rules: Rules) -> float:
    speed, bars = fit(loop, request.bpm)
    way = abs(float(np.log2(speed)))
    cost = rules.stretching * way + rules.shifting * abs(semitones_to_key(loop, key)) / 6.0
    if not rules.slowest <= speed <= rules.fastest:
        cost += 4.0 * way
    if request.mood != "any":
        valence, arousal = MOODS[request.mood]
        cost += rules.mood * float(np.hypot(loop.valence - valence, loop.arousal - arousal))
    if request.style:
        cost += rules.style * (1.0 - loop.answers(request.style))
    cost += rules.clash * outside_share(loop, key)
    sure = loop.tempo_sure * (loop.key_sure if loop.key is not None else 1.0)
    cost += rules.beat * (1.0 - loop.confidence) - rules.sureness * sure - rules.straight * loop.straight
    if bars > rules.section:
        cost += 0.5
    quiet = sum(level < _AUDIBLE for level in loop.levels) / len(loop.levels)
    return cost + 2.0 * quiet


def _bars(
    roles: Sequence[str],
    by_role: dict[str, list[int]],
    choices: Sequence[LoopChoice],
    request: LoopRequest,
    rules: Rules,
    seed: object,
) -> list[tuple[Layer, ...]]:
    count = -(-request.bars // rules.section)
    bars: list[tuple[Layer, ...]] = []
    lowest = min((rules.enters[r] for r in roles), default=0.0)
    played: dict[str, list[int]] = {role: [] for role in roles}
    for section in range(count):
        share = rules.form[min(len(rules.form) - 1, section * len(rules.form) // max(count, 1))] if count > 2 else 1.0
        layers = []
        sounding = [r for r in roles if len(roles) == 1 or chance(seed, "rest", r, section) >= rules.rests]
        changing = _roles_to_change({r: played[r] for r in sounding if len(by_role[r]) > 1}, section, rules, seed)
        for role in sounding:
            own, before = by_role[role], played[role]
            choice = before[-1] if before else own[0]
            if role in changing:  # to the one that has been played least
                choice = min((n for n in own if n != choice), key=lambda n: (before.count(n), n))
            before.append(choice)
            turn = 0 if len(own) > 1 else int(chance(seed, "ahead", role) * choices[choice].bars)
            layers.append(Layer(choice, max(0.0, rules.enters[role] - lowest) / share, turn))
        layers = layers or [Layer(by_role[roles[0]][0], 0.0)] if roles else []
        last = min(request.bars, (section + 1) * rules.section)
        out = int(chance(seed, "break", section) * len(layers) / max(rules.breaks, 1e-9))
        for bar in range(section * rules.section, last):
            rested = layers[:out] + layers[out + 1 :] if bar == last - 1 and len(layers) > 1 else layers
            bars.append(_fill_bar(rested, bar, choices))
    return bars


def _roles_to_change(played: Mapping[str, Sequence[int]], section: int, rules: Rules, seed: object) -> set[str]:
    """Returns the roles that change their loop in a section. `played`: previous loops, of roles with alternatives."""
    draws = {role: chance(seed, "turn", role, section) for role, before in played.items() if before}
    least = min(draws.values(), default=0.0) if rules.variety else 0.0
    return {role for role, draw in draws.items() if draw <= max(least, rules.variety)}


def _fill_bar(layers: Sequence[Layer], bar: int, choices: Sequence[LoopChoice]) -> tuple[Layer, ...]:
    """Layers of a bar; if none would sound, the first is replaced by one that sounds at any intensity."""
    result = list(layers)
    for place, layer in enumerate(result):
        if _sounds(choices[layer.choice], bar + layer.turn):
            result[place] = Layer(layer.choice, 0.0, layer.turn)
            break
    return tuple(result)


def _sounds(choice: LoopChoice, bar: int) -> bool:
    levels = choice.loop.levels
    first = bar % choice.bars * len(levels) / choice.bars
    last = max(first + 1e-9, (bar % choice.bars + 1) * len(levels) / choice.bars)
    return max(levels[int(first) : max(int(first) + 1, int(np.ceil(last - 1e-9)))]) > _AUDIBLE
