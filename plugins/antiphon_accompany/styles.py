"""Piano patterns: what a style may strike in a bar, in order of need, and the choice that makes one bar of it.

A style offers strikes, the most needed first. A bar takes from the top until it holds as many notes as were asked
for; chance moves strikes up and down a little, so that bars differ and stay the same style. All of it hangs on seed
and number of bar alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

STYLES = ("auto", "ballad", "pop", "arpeggio", "block", "waltz", "swing")
SECTION = 8
"""Bars for which `auto` keeps a style."""


class Strike(NamedTuple):
    """at: beats from the bar's first.  what: letters, a note each: b bass, f its fifth, o its octave, t its tenth,
    1 to 4 the right hand's tones from below.  length: beats.  accent: against the bar's loudness.
    """

    at: float
    what: str
    length: float
    accent: float = 1.0


_HELD = 1.0
_TELLING = frozenset("1234t")
Offer = tuple[float, Strike]
"""Need (0 is always taken), strike."""


def strong(meter: int) -> tuple[int, ...]:
    """The beats a bar leans on: 0, and the middle of bars of four and more."""
    return (0, (meter + 1) // 2) if meter >= 4 else (0,)


def bar(style: str, meter: int, wanted: float, number: int, seed: int, vary: float = 1.0) -> list[Strike]:
    """Strikes of bar `number`, in order of time.

    style: one of `STYLES` but "auto".  wanted: notes in the bar; what is always taken may exceed it.  vary: 0 makes
    all bars alike, 1 as unlike as a pianist's.
    """
    chance = random.Random(f"{seed} {number} {style}")
    offers = _OFFERS[style](meter, chance)
    strikes = [strike for need, strike in offers if need == 0.0]
    others = [(need + vary * chance.uniform(-1.2, 1.2), strike) for need, strike in offers if need]
    notes = sum(len(strike.what) for strike in strikes)
    wanted *= 1.0 + vary * chance.uniform(-0.12, 0.12)
    for _, strike in sorted(others):
        if notes + 0.5 * len(strike.what) > wanted:
            break
        strikes.append(strike)
        notes += len(strike.what)
    return _filled(_bound(sorted(strikes), meter), meter)


def _bound(strikes: list[Strike], meter: int) -> list[Strike]:
    """A bass that was to last a beat or more lasts until the next one: under it every beat has its chord."""
    result, until = [], float(meter)
    for strike in reversed(strikes):
        held = strike.what == "b" and strike.length >= _HELD
        result.append(strike._replace(length=max(strike.length, until - strike.at)) if held else strike)
        if "b" in strike.what:
            until = strike.at
    return result[::-1]


def _filled(strikes: list[Strike], meter: int) -> list[Strike]:
    """A beat that would have the bass alone keeps the last chord for a half: a root says not whether it is minor."""
    for beat in range(1, meter):
        if any(s.at < beat + 1 and s.at + s.length > beat and set(s.what) & _TELLING for s in strikes):
            continue
        for n in reversed(range(len(strikes))):
            strike = strikes[n]
            if strike.at < beat and len(set(strike.what) & _TELLING) > 1:
                strikes[n] = strike._replace(length=beat + 0.5 - strike.at)
                break
    return strikes


def chosen(number: int, meter: int, tempo: float, loudness: float, seed: int) -> str:
    """The style `auto` plays bar `number` in: by tempo and loudness, another for each section."""
    if meter == 3:
        return "waltz"
    calm = ("ballad", "arpeggio", "ballad", "pop")
    moving = ("pop", "ballad", "block", "pop")
    offered = calm if tempo < 90.0 and loudness < 0.9 else moving
    return offered[random.Random(f"{seed} {number // SECTION}").randrange(4)]


def _ballad(meter: int, chance: random.Random) -> list[Offer]:
    leans, offers = strong(meter), []
    for lean, end in zip(leans, (*leans[1:], meter), strict=True):
        room = end - lean
        offers += [
            (0.0, Strike(lean, "b", min(room, 1.5), 1.05)),
            (1.0 if lean == 0 else 1.6, Strike(lean, "123", 0.85)),
        ]
        climb = chance.choice(("fot", "fof", "oto", "fto"))
        for n in range(1, 2 * room):
            offers.append(
                (2.0 + 0.7 * (n % 2) + 0.2 * n, Strike(lean + n / 2, climb[(n - 1) % 3], min(room - n / 2, 0.75), 0.85))
            )
        for beat in range(lean + 1, end):
            offers.append((1.8, Strike(beat, chance.choice(("23", "123", "13")), 0.75, 0.9)))
            offers.append((3.6, Strike(beat - 0.5, chance.choice("321"), 0.5, 0.8)))
            offers.append((4.6, Strike(beat - 0.25, chance.choice("12"), 0.25, 0.75)))
    offers.append((3.4, Strike(meter - 0.5, chance.choice(("3", "23")), 0.5, 0.8)))
    return offers


def _pop(meter: int, chance: random.Random) -> list[Offer]:
    offers: list[Offer] = [(0.0, Strike(0, "b", 1.5, 1.1))]
    for beat in range(meter):
        even = beat % 2 == 0
        offers.append((1.0 + 0.1 * beat, Strike(beat, "123" if even else "23", 0.9, 1.0 if even else 0.92)))
        offers.append((3.0, Strike(beat + 0.5, chance.choice(("3", "23", "1")), 0.5, 0.82)))
        offers.append((3.9, Strike(beat + 0.75, chance.choice(("b", "2", "3")), 0.25, 0.78)))
    middle = strong(meter)[-1]
    offers += [(1.4, Strike(middle, "b", 1.0, 1.0)), (2.2, Strike(middle - 0.5, "b", 0.5, 0.9))]
    offers += [(2.4, Strike(0, "o", 1.5, 0.9)), (2.8, Strike(meter - 0.5, "f", 0.5, 0.85))]
    return offers


def _arpeggio(meter: int, chance: random.Random) -> list[Offer]:
    rise = chance.choice(("bfo123", "bft123", "bfo132", "bot213"))
    wave = rise + rise[-2:1:-1]
    order = chance.choice(((7, 3, 5, 1), (3, 7, 1, 5)))
    leans, offers = strong(meter), []
    for lean, end in zip(leans, (*leans[1:], meter), strict=True):
        room = end - lean
        offers.append((0.0, Strike(lean, "b", room, 1.05)))
        for n in range(1, 4 * room):
            at = lean + n / 4
            tone = wave[(n if room > 1 else 2 * n) % len(wave)] if n % 2 == 0 else wave[(n // 2 + 3) % len(wave)]
            tone = "1" if tone == "b" else tone
            # sixteenths join one after the other, so that bars keep to a few rhythms
            need = 0.0 if n % 4 == 0 else 0.7 if n % 2 == 0 else 3.0 + 2.5 * order.index(n % 8)
            offers.append((need, Strike(at, tone, min(1.25, end - at), 0.9 if n % 4 == 0 else 0.8)))
        offers.append((2.0, Strike(lean, "23", 1.0, 0.9)))
        offers.append((2.5, Strike(lean + 1, "23", 1.0, 0.85) if room > 1 else Strike(lean + 0.5, "2", 0.5, 0.8)))
    return offers


def _block(meter: int, chance: random.Random) -> list[Offer]:
    leans, offers = strong(meter), []
    for lean, end in zip(leans, (*leans[1:], meter), strict=True):
        room = end - lean
        offers += [(0.0, Strike(lean, "b", min(1.5, room), 1.05)), (0.0, Strike(lean, "123", 0.8))]
        offers += [(1.6, Strike(lean, "o", 0.8, 0.95)), (3.2, Strike(lean, "4", 0.8, 0.85))]
        for beat in range(lean + 1, end):
            offers.append((1.2, Strike(beat, "123", 0.65, 0.92)))
            offers.append((2.4, Strike(beat, chance.choice("bfo"), 1.0, 0.85)))
            offers.append((2.6, Strike(beat - 0.5, chance.choice(("123", "23")), 0.5, 0.85)))
    offers.append((2.6, Strike(meter - 0.5, chance.choice(("123", "12")), 0.5, 0.85)))
    offers.append((3.6, Strike(meter - 0.25, chance.choice("bf"), 0.25, 0.8)))
    return offers


def _waltz(meter: int, chance: random.Random) -> list[Offer]:
    offers: list[Offer] = [(0.0, Strike(0, "b", meter if meter == 3 else 2, 1.1))]
    for beat in range(1, meter):
        leant = meter > 3 and beat == strong(meter)[-1]
        offers.append((0.0, Strike(beat, "f" if leant else "23", 0.8, 0.85)))
        offers.append((1.0, Strike(beat, "1", 0.8, 0.85)))
        offers.append((1.8, Strike(beat - 0.5, chance.choice("oft"), 0.5, 0.8)))
        offers.append((2.8, Strike(beat + 0.5, chance.choice(("3", "2", "12")), 0.5, 0.75)))
    offers += [(1.6, Strike(0, "o", 1.0, 0.9)), (2.0, Strike(0, "23", 1.0, 0.9))]
    offers.append((3.4, Strike(meter - 0.25, "1", 0.25, 0.7)))
    return offers


def _swing(meter: int, chance: random.Random) -> list[Offer]:
    walk = chance.choice(("bfof", "btof", "boft", "bfto"))
    offers: list[Offer] = []
    for beat in range(meter):
        offers.append((0.0, Strike(beat, walk[beat % 4], 0.95, 1.0 if beat % 2 == 0 else 0.92)))
        offers.append((1.0 + chance.random(), Strike(beat + 2 / 3, chance.choice(("123", "23", "234")), 1.2, 0.9)))
        offers.append((1.6 + chance.random(), Strike(beat, chance.choice(("123", "23")), 1.2, 0.9)))
        offers.append((3.2, Strike(beat + 2 / 3, "b", 1 / 3, 0.75)))
    return offers


_OFFERS: dict[str, Callable[[int, random.Random], list[Offer]]] = {
    "ballad": _ballad,
    "pop": _pop,
    "arpeggio": _arpeggio,
    "block": _block,
    "waltz": _waltz,
    "swing": _swing,
}
