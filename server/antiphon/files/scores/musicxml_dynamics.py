"""Dynamics, accents and swing of MusicXML."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal
from xml.etree.ElementTree import Element

from antiphon.files.scores.written_score import LevelMark

_LEVELS = {"pppp": 8, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 120, "ffff": 126}
"""Velocities of dynamics."""
_ONCE = {"sf": 112, "sfz": 112, "fz": 112, "rf": 104, "rfz": 104, "sffz": 124}
"""Velocities of the notes under a mark of one attack."""
_AND_THEN = {"fp": (96, 49), "sfp": (112, 49), "sfpp": (112, 33), "pf": (49, 96), "sfzp": (112, 49)}
"""Velocities of the notes under a mark, and of those after it."""
_FORTE = 0.9
"""Velocity of one per cent in the attribute `dynamics`, of which 100 is a forte."""
_ARTICULATIONS = {
    "accent": (16 / 127, 1.0), "strong-accent": (24 / 127, 1.0), "staccato": (0.0, 0.5), "staccatissimo": (0.0, 0.3),
    "spiccato": (0.0, 0.4), "detached-legato": (0.0, 0.75),
}  # fmt: skip
"""Velocity that is added, and the share of a note that sounds."""
_WEDGES: dict[str, Literal["up", "down", "stop"]] = {"crescendo": "up", "diminuendo": "down", "stop": "stop"}
_SWING = {"eighth": 1.0, "16th": 0.5}
"""Quarters of the pair that swings."""


def level_marks(item: Element, path: str, at: Fraction) -> Iterator[LevelMark]:
    """Dynamics and hairpins of a direction or a note at a position."""
    sound = item.find("sound") if item.tag == "direction" else None
    stated = re.fullmatch(r"\d{1,3}(?:\.\d{1,9})?", (sound.get("dynamics") or "") if sound is not None else "")
    exact = min(127.0, float(stated[0]) * _FORTE) / 127 if stated else 0.0
    plain = [one.tag for one in item.findall(f"{path}/*")]
    for tag in plain:
        if tag in _ONCE:
            yield LevelMark(at, "note", _ONCE[tag] / 127)
        elif tag in _AND_THEN:
            first, rest = _AND_THEN[tag]
            yield LevelMark(at, "note", first / 127)
            yield LevelMark(at, "level", rest / 127)
        elif tag in _LEVELS:
            yield LevelMark(at, "level", exact or _LEVELS[tag] / 127)
    if exact and not plain:
        yield LevelMark(at, "level", exact)
    for one in item.findall("direction-type/wedge"):
        if kind := _WEDGES.get(one.get("type") or ""):
            yield LevelMark(at, kind)


def accent_of(note: Element) -> tuple[float, float]:
    """Velocity that the articulations of a note add, and the share of its length that sounds."""
    found = [_ARTICULATIONS.get(one.tag, (0.0, 1.0)) for one in note.findall("notations/articulations/*")]
    return max((accent for accent, _ in found), default=0.0), min((share for _, share in found), default=1.0)


def swing_of(item: Element, words: Sequence[str]) -> Iterator[tuple[float, float]]:
    """(share, unit) of a swing that begins, as in `Score.swing`: by a sign of playback, or by "Swing" in words."""
    sounds = [item] if item.tag == "sound" else item.findall("sound")
    signs = [sign for sound in sounds for sign in sound.findall("swing")]
    for sign in signs:
        first, second = (_count(sign.findtext(name)) for name in ("first", "second"))
        unit = _SWING.get((sign.findtext("swing-type") or "eighth").strip(), 1.0) / 2
        yield (first / (first + second), unit) if first and second else (0.5, unit)
    for text in words if not signs else ():
        if re.search(r"\b(?:straight|no swing)\b", text, re.I):
            yield 0.5, 0.5
        elif re.search(r"\b(?:swing|swung)\b", text, re.I):
            yield 2 / 3, 0.5


def _count(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,2}", text) else 0
