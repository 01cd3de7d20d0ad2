"""Which loop plays in which bar: chosen by the rules and a seed, from the analysis. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, UsageError
from antiphon_loops.record import MOODS, ROLES, Loop, scale_of
from antiphon_loops.rules import Rules

KEYS = ("auto", *(f"{name} {mode}" for mode in ("major", "minor") for name in SHARP_NAMES))
GROUPS = {"harmonic": ("chords", "melody"), "percussion": ("drums",), "all": ROLES}
_AUDIBLE = -35.0


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """What is to be played.

    Attributes:
        bpm: Tempo of the material.
        bars: Bars of a round.
        key: A key, or "auto".
        mood: One of `MOODS`.
        seed: Selects one of many arrangements.
        instruments: Roles, in the order of `ROLES`.
    """

    bpm: float
    bars: int = 32
    key: str = "auto"
    mood: str = "any"
    seed: int = 1
    instruments: tuple[str, ...] = ROLES


@dataclass(frozen=True, slots=True)
class LoopChoice:
    """A loop as it is to be played.

    Attributes:
        loop: The loop.
        role: The role it plays.
        bars: Bars it fills: its own number, half or twice that.
        shift: Semitones of transposition.
    """

    loop: Loop
    role: str
    bars: int
    shift: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A loop in one bar.

    Attributes:
        choice: Index into `Arrangement.choices`.
        enters: Intensity from which on it plays.
        turn: Bars by which it is ahead.
    """

    choice: int
    enters: float
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A round.

    Attributes:
        request: What it was made for.
        key: Key of all loops, None where no loop has one.
        choices: The loops.
        bars: The layers of each bar.
    """

    request: LoopRequest
    key: str | None
    choices: tuple[LoopChoice, ...]
    bars: tuple[tuple[Layer, ...], ...]


def roles_of(text: str) -> tuple[str, ...]:
    """The roles of an `instruments` text: "drums, bass" selects, "-melody" removes, "" is all.

    Raises:
        UsageError: A role is unknown.
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
    """A round of `request.bars` bars. With no loop that fits there are no layers, which is silence."""
    able = sorted((x for x in loops if max(x.levels, default=-99.0) > -60.0), key=lambda x: x.file)
    key = _key(able, request)
    choices: list[LoopChoice] = []
    by_role: dict[str, list[int]] = {}
    groove = np.zeros(16)
    for role in request.instruments:
        of_it = [x for x in able if x.role == role] or _instead(role, able, request)
        ranked = _ranked(of_it, key, request, rules, groove)[: rules.choices]
        by_role[role] = list(range(len(choices), len(choices) + len(ranked)))
        choices += [LoopChoice(x, role, fit(x, request.bpm)[1], shift_to(x, key)) for x in ranked]
        if role == "drums" and ranked:
            groove = np.array(ranked[0].pattern)
    roles = [r for r in request.instruments if by_role[r]]
    bars = _bars(roles, by_role, choices, request, rules)
    used = sorted({layer.choice for bar in bars for layer in bar})
    place = {old: new for new, old in enumerate(used)}
    layers = tuple(tuple(Layer(place[x.choice], x.enters, x.turn) for x in bar) for bar in bars)
    return Arrangement(request, key, tuple(choices[n] for n in used), layers)


def fit(loop: Loop, bpm: float) -> tuple[float, int]:
    """How many times faster than its own a loop is played at `bpm`, and how many bars it then fills.

    One felt at half or twice the tempo is counted so where that needs less stretching.
    """
    options = [(bpm / loop.bpm, loop.bars), (bpm / (2 * loop.bpm), 2 * loop.bars)]
    if loop.bars % 2 == 0:
        options.append((bpm / (loop.bpm / 2), loop.bars // 2))
    return min(options, key=lambda o: abs(np.log2(o[0])))


def shift_to(loop: Loop, key: str | None) -> int:
    """Semitones, -5 to 6, that transpose a loop into the key or its relative."""
    if loop.key is None or key is None:
        return 0
    return (scale_of(key) - scale_of(loop.key) + 5) % 12 - 5


def outside(loop: Loop, key: str | None) -> float:
    """The part of a loop's sound, 0 to 1, that is on notes outside the key it is moved into."""
    if key is None or not loop.chroma:
        return 0.0
    inside = {(scale_of(key) - shift_to(loop, key) + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
    return sum(part for place, part in enumerate(loop.chroma) if place not in inside)


def _instead(role: str, loops: Sequence[Loop], request: LoopRequest) -> list[Loop]:
    """Chords by what plays a melody and the other way round, where a library has but one of them."""
    other = {"chords": "melody", "melody": "chords"}.get(role, "")
    return [] if other in request.instruments else [x for x in loops if x.role == other]


def chance(*of: object) -> float:
    """A number from 0 to 1 that hangs on nothing but its arguments."""
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
        way = sum(abs(shift_to(x, key)) * (0.3 + x.key_sure) for x in keyed) / len(keyed)
        same = sum(x.key == key for x in keyed) / len(keyed)
        wanted, _ = MOODS[request.mood]
        bright = (wanted - 0.5) * (1 if key.endswith("major") else -1)
        costs[key] = way - 2.0 * same - bright + 0.3 * chance(request.seed, "key", key)
    return min(costs, key=costs.__getitem__)


def _ranked(
    loops: Sequence[Loop], key: str | None, request: LoopRequest, rules: Rules, groove: NDArray[np.float64]
) -> list[Loop]:
    """The loops, best first."""

    def score(loop: Loop) -> float:
        speed, bars = fit(loop, request.bpm)
        way = abs(float(np.log2(speed)))
        cost = rules.stretching * way + rules.shifting * abs(shift_to(loop, key)) / 6.0
        if not rules.slowest <= speed <= rules.fastest:
            cost += 4.0 * way
        if request.mood != "any":
            valence, arousal = MOODS[request.mood]
            cost += rules.mood * float(np.hypot(loop.valence - valence, loop.arousal - arousal))
        if groove.any() and any(loop.pattern):
            mine = np.array(loop.pattern)
            cost -= rules.groove * float(mine @ groove / (np.linalg.norm(mine) * np.linalg.norm(groove) + 1e-9))
        cost += rules.clash * outside(loop, key)
        sure = loop.tempo_sure * (loop.key_sure if loop.key is not None else 1.0)
        cost -= rules.sureness * sure + rules.straight * loop.straight
        if bars > rules.section:
            cost += 0.5
        quiet = sum(level < _AUDIBLE for level in loop.levels) / len(loop.levels)
        draw = -np.log(-np.log(0.002 + 0.996 * chance(request.seed, loop.role, loop.file)))
        return cost + 2.0 * quiet - rules.chance * float(draw)

    return sorted(loops, key=lambda x: (score(x), x.file))


def _bars(
    roles: Sequence[str],
    by_role: dict[str, list[int]],
    choices: Sequence[LoopChoice],
    request: LoopRequest,
    rules: Rules,
) -> list[tuple[Layer, ...]]:
    count = -(-request.bars // rules.section)
    bars: list[tuple[Layer, ...]] = []
    lowest = min((rules.enters[r] for r in roles), default=0.0)
    for section in range(count):
        share = rules.form[min(len(rules.form) - 1, section * len(rules.form) // max(count, 1))] if count > 2 else 1.0
        layers = []
        for role in roles:
            own = by_role[role]
            if len(roles) > 1 and chance(request.seed, "rest", role, section) < rules.rests:
                continue
            choice = own[int(chance(request.seed, "turn", role, section) * len(own)) if section else 0]
            turn = 0 if len(own) > 1 else int(chance(request.seed, "ahead", role) * choices[choice].bars)
            layers.append(Layer(choice, max(0.0, rules.enters[role] - lowest) / share, turn))
        layers = layers or [Layer(by_role[roles[0]][0], 0.0)] if roles else []
        last = min(request.bars, (section + 1) * rules.section)
        out = int(chance(request.seed, "break", section) * len(layers) / max(rules.breaks, 1e-9))
        for bar in range(section * rules.section, last):
            rested = layers[:out] + layers[out + 1 :] if bar == last - 1 and len(layers) > 1 else layers
            bars.append(_filled(rested, bar, choices))
    return bars


def _filled(layers: Sequence[Layer], bar: int, choices: Sequence[LoopChoice]) -> tuple[Layer, ...]:
    """The layers of a bar; if none would sound, the first is replaced by one that sounds at any intensity."""
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
