"""Scales and chords by name, as semitones above the root, and the chord symbols of lead sheets, jazz books and iReal.

Names are those of `scales.txt` and `chords.txt` beside this module; symbols are such as "F7(b9,#11)", "C^7", "Bbø",
"E♭-7" and "G13sus4/D".
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from antiphon.kernel.signal import named_note


def _rows(file: str) -> dict[str, tuple[int, ...]]:
    """Rows of a file: semitones separated by spaces, then names."""
    found: dict[str, tuple[int, ...]] = {}
    for line in Path(__file__).with_name(file).read_text().splitlines():
        steps, names = line.split(":", 1)
        found |= dict.fromkeys(names.split(), tuple(int(step) for step in steps.split()))
    return found


CHORDS = _rows("chords.txt")
"""Chords by name, Tidal's, and the suffixes of chord symbols."""
SCALES = _rows("scales.txt")
"""Scales by name, Tidal's first."""


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_SCALES = {_folded(name): name for name in SCALES}


def scale_name(name: str) -> str:
    """The spelling in `SCALES` of a name written with spaces or underscores, such as "harmonic minor"."""
    return name if name in SCALES else _SCALES.get(_folded(name), name)


MAX_LETTERS = 40
"""Maximum characters of a chord symbol."""
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("♭", "b"),
        **dict.fromkeys("♯", "#"),
        **dict.fromkeys("ΔΔ△∆", "^"),
        **dict.fromkeys("øØ", "h"),
        **dict.fromkeys("°º˚", "o"),
        **dict.fromkeys("−–‐‑", "-"),
        "𝄫": "bb",
        "𝄪": "##",
    }
)
_ROOT = r"[A-Ha-h](?:bb?|##?|x|i?s(?!us)|es(?!us))?"
"""Matches the name of a root. In German H is B, and F# and Gb are Fis and Ges."""
_SYMBOL = re.compile(rf"({_ROOT})(.*)")
_BASS = re.compile(rf"(.*)/({_ROOT})")
_GROUP = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_TOKEN = re.compile(
    r"(?P<half>(?i:hdim|half-?dim)7?|h7?|^07?$)|(?P<alt>(?i:alt))|(?P<sus>(?i:sus))(?P<suspended>24|2/?4|2sus4|2|4|)"
    r"|(?P<add>(?i:add))(?P<added>[b#]?(?:13|11|9|7|6|4|2))|(?P<no>(?i:no|omit))(?P<left>3|5)"
    r"|(?P<minor>(?i:minor|min|mi)|m(?!a(?!dd))|^-)|(?P<major>(?i:major|maj|ma)|M|\^|j)|(?P<dim>(?i:dim)|o)"
    r"|(?P<aug>(?i:aug)|^\+|\+(?!\d))|(?P<altered>[b#+-](?:13|11|9|7|6|5))|(?P<sixnine>6/?9)"
    r"|(?P<number>13|11|9|7|6|5|4|2)|(?P<none>[/,\s])"
)
_DEGREES = {"2": 14, "4": 17, "5": 7, "6": 9, "7": 10, "9": 14, "11": 17, "13": 21}
_SHIFTS = {"b": -1, "-": -1, "#": 1, "+": 1, "": 0}


class ChordSymbol(NamedTuple):
    """A chord symbol. root, bass: pitch classes.  steps: semitones above the root, extensions above the octave."""

    root: int
    steps: tuple[int, ...]
    bass: int


@lru_cache(4096)
def read_symbol(text: str) -> ChordSymbol | None:
    """Parses a chord symbol, "Am7", "C6/9", "B♭7b9/D"; None if it is none. A lower-case root alone is minor."""
    if len(text) > MAX_LETTERS or (found := _SYMBOL.fullmatch(text.strip().translate(_SIGNS))) is None:
        return None
    root, kind = found.groups()
    below = _BASS.fullmatch(kind)
    kind, bass = below.groups() if below is not None else (kind, root)
    if root[0].islower() and not re.match(r"m|-|dim|o|h", kind):
        kind = f"m{kind}"
    steps = chord_steps(kind)
    return None if steps is None else ChordSymbol(_pitch_class(root), steps, _pitch_class(bass))


@lru_cache(4096)
def chord_steps(kind: str) -> tuple[int, ...] | None:
    """Semitones above the root, from the text after a symbol's root or a name in `CHORDS`; None for another."""
    kind = kind.translate(_SIGNS)
    if not kind or kind in CHORDS:
        return CHORDS[kind or "major"]
    kind = _GROUP.sub(_bracket_content, kind)
    if kind in CHORDS:
        return CHORDS[kind]
    return _ChordTones().read(kind)


def _bracket_content(group: re.Match[str]) -> str:
    """Content of brackets, whose bare numbers are added tones."""
    words = re.split(r"[\s,]+", group[1].strip())
    return "".join(f"add{word}" if word.isdigit() else word for word in words)


class _ChordTones:
    """Collects the tones of a chord while its symbol is parsed."""

    def __init__(self) -> None:
        self._thirds, self._fifths, self._tops = {4}, {7}, set[int]()
        self._seventh: int | None = None
        self._major = self._dim = False

    def read(self, kind: str) -> tuple[int, ...] | None:
        at, sharp = 0, False
        while at < len(kind):
            found = _TOKEN.match(kind, at)
            if found is None or found.end() == at:
                return None
            sharp = found["major"] == "^" or (sharp and found["major"] is None)
            self._take(found)
            at = found.end()
        if sharp and self._seventh is None:
            self._seventh = 11
        seventh = () if self._seventh is None else (self._seventh,)
        return tuple(sorted({0, *self._thirds, *self._fifths, *seventh, *self._tops}))

    def _take(self, found: re.Match[str]) -> None:
        if found["minor"]:
            self._thirds = {3}
        elif found["major"]:
            self._major = True
            self._seventh = 11 if self._seventh == 10 else self._seventh
        elif found["dim"]:
            self._thirds, self._fifths, self._dim = {3}, {6}, True
        elif found["half"]:
            self._thirds, self._fifths, self._seventh = {3}, {6}, 10
        elif found["aug"]:
            self._fifths = {8}
        elif found["alt"]:
            self._fifths, self._seventh, self._tops = {8}, 10, {13, 15}
        elif found["sus"]:
            self._thirds = {step for name, step in (("2", 2), ("4", 5)) if name in (found["suspended"] or "4")}
        elif found["no"]:
            (self._thirds if found["left"] == "3" else self._fifths).clear()
        elif found["sixnine"]:
            self._tops |= {9, 14}
        elif found["number"]:
            self._count(found["number"])
        elif given := found["added"] or found["altered"]:
            self._alter(given.lstrip("b#+-"), given[0] if not given[0].isdigit() else "", added=bool(found["add"]))

    def _count(self, number: str) -> None:
        """Applies a number: 5 and 4 change the triad, 6 and 2 add to it, 7 and above imply a seventh."""
        match number:
            case "5":
                self._thirds.clear()
            case "4":
                self._thirds = {5}
            case "6" | "2":
                self._tops.add(_DEGREES[number])
            case _:
                self._seventh = 11 if self._major else 9 if self._dim else 10
                self._tops |= {"9": {14}, "11": {14, 17}, "13": {14, 21}}.get(number, set())

    def _alter(self, degree: str, sign: str, *, added: bool) -> None:
        step = _DEGREES[degree] + _SHIFTS[sign]
        if degree == "7":
            self._seventh = step
        elif degree == "5":
            self._fifths = {step} | (self._fifths - {7})
        else:
            if sign and not added:
                self._tops -= {_DEGREES[degree]}
            self._tops.add(step)


def _pitch_class(name: str) -> int:
    name = name.lower().replace("h", "b")
    sign = {"x": "##", "is": "#", "es": "b", "s": "b"}.get(name[1:], name[1:])
    return named_note(f"{name[0]}{sign}3") % 12
