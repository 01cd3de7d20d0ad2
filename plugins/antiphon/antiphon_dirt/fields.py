"""Fields of a `/dirt/play` message: names and values in turn, in any order, of mixed types.

Source: SuperDirt's API page and its used-parameters, and the messages of Tidal 1.7 to 1.10. An unknown name is ignored
and counted; a value of the wrong type is left out, for Tidal sends the name of a control bus ("c1") in place of any
number.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.api.backends.runtime import composed
from antiphon.api.backends.transports import Arg, WireError

MAX_FIELDS = 128
"""Maximum names of one event: SuperDirt knows some hundred, and no pattern sends half of them."""
MAX_WORD = 256
"""Maximum characters of a name or a word."""
_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
ALIASES: Mapping[str, str] = _TABLES["aliases"]
"""Aliases of fields."""
WORDS = {name: frozenset(words) for name, words in _TABLES["words"].items()}
"""Text fields, with their allowed words; empty allows any."""
NUMBERS = frozenset(_TABLES["numbers"])
SILENT = frozenset({"_id_", "cycle", "nudge", "bank"})
"""Fields without an effect here: the name of a pattern, and data already in the time tag."""
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")
_INDEX = re.compile(r"-?\d{1,5}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class DirtEvent:
    """Parsed fields of one event."""

    sound: str  # name of the sound, without the number behind a colon
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def number(self, name: str, default: float) -> float:
        """Number of a field, or `default` if it was not sent."""
        return self.numbers.get(name, default)


def read(args: Sequence[Arg]) -> DirtEvent:
    """Reads the arguments of `/dirt/play`. Raises WireError: they are odd in number, too many, or name no sound."""
    if len(args) % 2:
        raise WireError(f"/dirt/play takes names and values in turn; {len(args)} arguments were sent")
    if len(args) > 2 * MAX_FIELDS:
        raise WireError(f"/dirt/play takes at most {MAX_FIELDS} names; {len(args) // 2} were sent")
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    ignored: list[str] = []
    for name, value in _pairs(args):
        number = _number(value) if name in NUMBERS else None
        if number is not None:
            numbers[name] = number
        elif name in WORDS and isinstance(value, str) and len(value) <= MAX_WORD and value in (WORDS[name] or {value}):
            words[name] = value
        elif name not in SILENT:
            ignored.append(name)
    sound = composed(words.pop("s", ""))
    # Sardine and others leave the number behind the colon in the name, also as "bd:2.0"; Tidal does not
    base, colon, index = sound.partition(":")
    if colon and _INDEX.fullmatch(index):
        sound = base
        numbers.setdefault("n", float(index))
    # Strudel sends the bank beside a name that begins with it
    bank = words.pop("bank", "")
    if bank and sound and not sound.startswith(bank):
        sound = f"{bank}_{sound}"
    if not sound:
        raise WireError("/dirt/play names no sound: s is missing")
    return DirtEvent(sound, numbers, words, tuple(ignored))


def _pairs(args: Sequence[Arg]) -> Iterable[tuple[str, Arg]]:
    for at in range(0, len(args), 2):
        name = args[at]
        if not isinstance(name, str) or len(name) > MAX_WORD:
            raise WireError(f"/dirt/play takes names and values in turn; the argument {at + 1} is no name")
        yield ALIASES.get(name, name), args[at + 1]


def _number(value: Arg) -> float | None:
    """Value as a number, also from text; None for anything else, such as a control bus name."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return None
