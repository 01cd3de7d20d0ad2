"""Words of live scripts that differ in Strudel and Tidal; converts Strudel's mini-notation."""

import builtins
import math
import re
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.mini_parser import Sequence, Simultaneous, parse
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.words.samples import PARTS
from antiphon.live.patterns.words.table import UNSUPPORTED_WORDS as UNSUPPORTED_WORDS, WORDS
from antiphon.paste.script import name_of

_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
RENAMED: dict[str, str] = _TABLES["renamed"]
"""Our names of differently named words."""
STRUDEL: dict[str, str] = RENAMED | _TABLES["strudel"]
"""Our names of Strudel's words, whose scale differs from Tidal's."""
TIDAL: dict[str, str] = RENAMED | _TABLES["tidal"]
"""Our names of Tidal's words."""
SILENT = frozenset(_TABLES["silent"]["words"])
"""Pattern words without audible effect: drawing or naming."""
SILENT_FUNCTIONS = frozenset(_TABLES["silent"]["functions"])
FUNCTIONS = frozenset(live.__all__)
SIGNALS = frozenset(name for name in live.__all__ if isinstance(getattr(live, name), Pattern))
SETTERS = frozenset(name for word in WORDS.values() if word.group == "notes" for name in word.names)
"""Words with a single value."""
LISTED = frozenset(name for word in PARTS for name in WORDS[word].names)
"""Words with several values, joined by colons."""
BOUNDS: dict[str, tuple[float, float]] = _TABLES["bounds"]
"""Lower and upper bounds for values that Strudel does not limit."""
VALUE_NAMES = {name: word.name for word in WORDS.values() if word.group == "notes" for name in word.names}
"""Names of values, by each of their spellings."""
ROUTES = {name: '.set(on="phased")' for name, value in VALUE_NAMES.items() if value == "phaser"}
"""Chain links that name the node of the patch through which a value takes effect."""
METHODS = frozenset(
    name.removesuffix("_") for name in dir(ControlPattern) if not name.startswith("_") and name != "events"
)
"""Words of patterns."""
NAMELESS = METHODS - {
    "apply", "as", "bind", "chord", "freq", "inner_bind", "innerBind", "n", "note", "root_notes", "rootNotes", "s",
    "scale", "set", "sound", "stack", "synth", "voicing", "voicings",
}  # fmt: skip
"""Words after which a text of numbers and words still has no sound."""
TUPLES = frozenset({"arrange", "timeCat", "timecat", "stepcat", "wchoose", "wrandcat", "wchooseCycles", "polymeter"})
OF_CHANGES = frozenset({"layer", "superimpose"})
"""Words that take any number of changes: as changes themselves they are written as functions."""
PATTERN_FUNCTIONS = frozenset(
    {"stack", "cat", "fastcat", "slowcat", "seq", "sequence", "randcat", "polymeter", "choose", "chooseCycles"}
)
RESERVED = frozenset(dir(builtins)) | {"math", "everything", "play_all", "pattern_"}
"""Reserved names, not available to a program's own."""


def own_name(name: str) -> str:
    """Converts a program's name to one that is not a word of live scripts or of Python."""
    plain = name_of(name).lstrip("_") or "own"
    return f"{plain}_" if name in FUNCTIONS or plain in RESERVED or plain[:6] == "change" else plain


_NOTE = re.compile(r"(?<![\w'.:#^/*!@%-])([a-gA-G](?:[#bs]{1,2})?)(?![\w'#:.^]|-\d)")
_EUCLID = re.compile(r"\(\s*([^(),]+?)\s*,\s*([^(),[\]]+|\[[^()[\]]*\])\s*,\s*([^()]+?)\s*\)")
_TURN = re.compile(r"(?<![\w.*/!@%:-])-?\d+(?![\w.])")
"""Number of steps by which a rhythm is rotated."""
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


def remove_comments(text: str) -> str:
    """Text without comments; its rotations stay, since Tidal's direction is ours."""
    text = _PART_AFTER_WEIGHT.sub(r"\1\3\2", _POINT.sub("0.", _COMMENT.sub("", text)))
    return _HELD.sub(lambda found: " ".join("_" * int(found[1])), text)


def plain(text: str) -> str:
    """Text without comments, its rotations converted to our direction."""
    return _EUCLID.sub(lambda found: f"({found[1]},{found[2]},{_TURN.sub(_turned, found[3])})", remove_comments(text))


def _turned(found: re.Match[str]) -> str:
    return str(-int(found[0]))


def notes(text: str) -> str:
    """Notes of a text; notes without an octave are in Strudel's third."""
    return _NOTE.sub(lambda found: f"{found[1].lower()}3", plain(text))


def scales(text: str) -> str:
    """Scale names such as "<c3:major a3:minor>"; those without an octave are in the third."""
    return _SCALE.sub(lambda found: f"{found[1].lower()}{found[2] or 3}:{found[3]}", plain(text))


def scale_numbers(text: str, factor: float) -> str:
    """Multiplies the numbers of a text, clipped to 1 to `factor`: velocities are 0 to 1 there and 1 to 127 here."""
    return _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]) * factor, 1), factor):g}", plain(text))


def count_steps(text: str) -> Fraction:
    """Steps of a text in mini-notation, as Strudel counts them. Raises UsageError: it is none."""
    match parse(plain(text)):
        case Sequence() as steps:
            return steps.weight
        case Simultaneous(parts):
            return Fraction(math.lcm(*(int(part.weight) for part in parts)))
    return Fraction(1)


def is_number(text: str) -> bool:
    """True for a number alone."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def is_notes(text: str) -> bool:
    """True for a text with names of notes but none of scales."""
    found = re.search(r"(?<![\w'])[a-gA-G](#|b|s)?\d?(?![\w'^])", text)
    return found is not None and _SCALED.search(text) is None


def bound_numbers(text: str, kind: str) -> str:
    """Clips the numbers of a text to the range of a word of live scripts."""
    low, high = BOUNDS.get(VALUE_NAMES.get(kind, ""), (None, None))
    if low is None or high is None:
        return text
    return _PLAIN_NUMBER.sub(lambda found: f"{min(max(float(found[0]), low), high):g}", text)


def convert_word_text(text: str, kind: str) -> str:
    """Converts differences in how a word reads its text."""
    text = bound_numbers(text, STRUDEL.get(kind, kind))
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
