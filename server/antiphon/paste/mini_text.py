"""Texts in mini-notation, with the differences between Strudel's reading and ours written out."""

from __future__ import annotations

import re
from collections.abc import Callable

from antiphon.paste.words import BOUNDS, LISTED, RENAMED, SETTERS, VALUE_NAMES

_NOTE = re.compile(r"(?<![\w'.:#^/*!@%-])([a-gA-G](?:[#bs]{1,2})?)(?![\w'#:.^])")
_EUCLID = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(-?\d+)\s*\)")
_POINT = re.compile(r"(?<![\w.])\.(?=\d)")
_HELD = re.compile(r"(?<!\S)_@(\d{1,2})(?!\S)")
_LATER_PART = re.compile(r"(?<![\w#.'-])([\w#.'-]+)((?:@[\d.]+|\*[\d.]+|!\d+)+)((?::[\w#.-]+)+)")
"""A word of which a part stands behind its weight: d4@2:1."""
_NOTED = frozenset({"note", "n", "add", "sub", "rootNotes", "root_notes"})
_FIRST_OF_LIST = SETTERS - LISTED - {"bank", "n", "note", "s", "slices", "sound"}
"""Values of which Strudel takes several joined by colons, and a live script the first."""
_COMMENT = re.compile(r"//[^\n]*")
_SCALE = re.compile(r"(?<![\w:])([a-gA-G][#b]?)(\d?):([A-Za-z0-9:]+)")
_PLAIN_NUMBER = re.compile(r"(?<![\w.:#'*/@!%?(-])-?(\d*\.\d+|\d+\.?)(?![\w.])")


def plain(text: str) -> str:
    """A text without comments, its rotations turned as ours are."""
    text = _LATER_PART.sub(r"\1\3\2", _POINT.sub("0.", _COMMENT.sub("", text)))
    text = _HELD.sub(lambda found: " ".join("_" * int(found[1])), text)
    return _EUCLID.sub(lambda found: f"({found[1]},{found[2]},{_turned(found)})", text)


def _turned(found: re.Match[str]) -> int:
    steps = int(found[2])
    return -int(found[3]) % steps if steps else 0


def notes(text: str) -> str:
    """Notes of a text, those without an octave in Strudel's third."""
    return _NOTE.sub(lambda found: f"{found[1].lower()}3", plain(text))


def scales(text: str) -> str:
    """Names of scales, as "<c3:major a3:minor>", without an octave in the third."""
    return _SCALE.sub(lambda found: f"{found[1].lower()}{found[2] or 3}:{found[3]}", plain(text))


def scaled(text: str, factor: float) -> str:
    """Numbers of a text times a factor, from 1 to it: for velocities, which are 0 to 1 there and 1 to 127 here."""
    return _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]) * factor, 1), factor):g}", plain(text))


def is_number(text: str) -> bool:
    """True for a number alone."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def is_notes(text: str) -> bool:
    """True for a text that has names of notes."""
    return re.search(r"(?<![\w'])[a-gA-G](#|b|s)?\d?(?![\w'^])", text) is not None


def mended(text: str, kind: str) -> str:
    """A text with what its word reads in another way than here."""
    low, high = BOUNDS.get(VALUE_NAMES.get(RENAMED.get(kind, kind), ""), (None, None))
    if low is not None and high is not None:
        text = _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]), low), high):g}", text)
    change: Callable[[str], str] = plain
    if kind in _NOTED:
        change = notes
    elif kind == "scale":
        change = scales
    elif kind in _FIRST_OF_LIST:
        return re.sub(r"(?<=[\d.]):[\d.:]+", "", plain(text))
    elif kind in ("bank", "s", "sound"):
        return plain(text)
    return change(text)
