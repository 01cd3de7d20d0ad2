"""Mini-notation texts, converted from Strudel's reading to ours."""

import re
from collections.abc import Callable

from antiphon.paste.words import BOUNDS, LISTED, RENAMED, SETTERS, VALUE_NAMES

_NOTE = re.compile(r"(?<![\w'.:#^/*!@%-])([a-gA-G](?:[#bs]{1,2})?)(?![\w'#:.^]|-\d)")
_EUCLID = re.compile(r"\(\s*([^(),]+?)\s*,\s*([^(),[\]]+|\[[^()[\]]*\])\s*,\s*([^()]+?)\s*\)")
_TURN = re.compile(r"(?<![\w.*/!@%:-])-?\d+(?![\w.])")
"""A number of steps that a rhythm is turned by."""
_POINT = re.compile(r"(?<![\w.])\.(?=\d)")
_HELD = re.compile(r"(?<!\S)_@(\d{1,2})(?!\S)")
_PART_AFTER_WEIGHT = re.compile(r"(?<![\w#.'-])([\w#.'-]+)((?:@[\d.]+|\*[\d.]+|!\d+)+)((?::[\w#.-]+)+)")
"""Word with a part after its weight: d4@2:1."""
_NOTED = frozenset({"note", "n", "add", "sub", "rootNotes", "root_notes"})
_SINGLE_VALUES = SETTERS - LISTED - {"bank", "n", "note", "s", "slices", "sound"}
"""Values that accept several joined by colons in Strudel, and only the first in a live script."""
_COMMENT = re.compile(r"//[^\n]*")
_SCALE = re.compile(r"(?<![\w:])([a-gA-G][#b]?)(\d?):([A-Za-z0-9:]+)")
_SCALED = re.compile(r"(?<![\w:])[a-gA-G][#b]?:[a-z]{3}")
_PLAIN_NUMBER = re.compile(r"(?<![\w.:#'*/@!%?(-])-?(\d*\.\d+|\d+\.?)(?![\w.]|[^()]{0,20}\))")


def unturned(text: str) -> str:
    """Text without comments, its rotations as they are: Tidal's direction is ours."""
    text = _PART_AFTER_WEIGHT.sub(r"\1\3\2", _POINT.sub("0.", _COMMENT.sub("", text)))
    return _HELD.sub(lambda found: " ".join("_" * int(found[1])), text)


def plain(text: str) -> str:
    """Text without comments, its rotations converted to our direction."""
    return _EUCLID.sub(lambda found: f"({found[1]},{found[2]},{_TURN.sub(_turned, found[3])})", unturned(text))


def _turned(found: re.Match[str]) -> str:
    return str(-int(found[0]))


def notes(text: str) -> str:
    """Notes of a text; those without an octave are in Strudel's third."""
    return _NOTE.sub(lambda found: f"{found[1].lower()}3", plain(text))


def scales(text: str) -> str:
    """Scale names, such as "<c3:major a3:minor>"; without an octave in the third."""
    return _SCALE.sub(lambda found: f"{found[1].lower()}{found[2] or 3}:{found[3]}", plain(text))


def scaled(text: str, factor: float) -> str:
    """Numbers of a text times a factor, clipped to 1 up to it: velocities are 0 to 1 there and 1 to 127 here."""
    return _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]) * factor, 1), factor):g}", plain(text))


def is_number(text: str) -> bool:
    """True for a number alone."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def is_notes(text: str) -> bool:
    """True for a text that has names of notes, and none of scales."""
    found = re.search(r"(?<![\w'])[a-gA-G](#|b|s)?\d?(?![\w'^])", text)
    return found is not None and _SCALED.search(text) is None


def bounded(text: str, kind: str) -> str:
    """Text with its numbers within what its word takes."""
    low, high = BOUNDS.get(VALUE_NAMES.get(RENAMED.get(kind, kind), ""), (None, None))
    if low is None or high is None:
        return text
    return _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]), low), high):g}", text)


def converted_text(text: str, kind: str) -> str:
    """Text with differences of its word's reading converted."""
    text = bounded(text, kind)
    change: Callable[[str], str] = plain
    if kind in _NOTED:
        change = notes
    elif kind == "scale" or (kind not in SETTERS and _SCALED.search(text)):
        change = scales
    elif kind in _SINGLE_VALUES:
        return re.sub(r"(?<=[\d.]):[\d.:]+", "", plain(text))
    elif kind in ("s", "sound"):
        # the waveform there, a struck triangle here
        return re.sub(r"(?<![\w.#-])tri(?![\w.#-])", "triangle", plain(text))
    elif kind == "bank":
        return plain(text)
    return change(text)
