"""Styles: TOML files of parts, sections and patterns, and the selection of a bar's strikes.

A pattern is a text with one character for each step of a bar, and `|` between bars: `.` rests and `-` sustains. 1, 2
and 3 strike from the low, middle and high intensity on; A, B and C do the same with an accent, a, b and c softly.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct, field

from antiphon.api import FileError, PluginError
from antiphon.api.backends.files import read_toml
from antiphon_accompany.band.parts import MIX

PARTS = ("piano", "guitar", "bass", "drums", "pad")
SECTIONS = ("intro", "A", "B", "fill", "break", "ending")
NAMES = (
    "ballad",
    "pop",
    "arpeggio",
    "block",
    "waltz",
    "swing",
    "rock",
    "bossa",
    "house",
    "reggae",
    "funk",
    "chorale",
)
STYLES = ("auto", *NAMES)
PHRASE = 8
"""Bars for which `auto` keeps a style and a variation; the last one has the fill."""
DRUMS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "low": 45,
    "mid": 47,
    "high": 50,
    "crash": 49,
    "ride": 51,
    "bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "conga": 63,
    "shaker": 70,
    "clave": 75,
}
"""Lanes of drums, by their General MIDI keys."""
LEFT_HAND_LANES = ("root", "third", "fifth", "octave", "tenth", "walk")
"""Lanes of the left hand and the bass."""
VOICES = ("voice1", "voice2", "voice3", "voice4")
"""Lanes of one voice of a chord, from below."""
LANES = (*LEFT_HAND_LANES, "chord", "upper", *VOICES)
Voicing: TypeAlias = Literal["close", "open", "triad", "shell", "power", "choir"]
MAX_BYTES, MAX_STEPS = 1 << 16, 1024
_NEEDS = {letter: (1 + n % 3, (1.0, 1.18, 0.62)[n // 3]) for n, letter in enumerate("123ABCabc")}


class Strike(NamedTuple):
    """Strike of a pattern."""

    at: float  # beats from the bar's first
    what: str  # the lane: a name of `LANES`, or a key of the drums
    length: float  # beats
    need: int = 1  # the least intensity, 1 to 3
    accent: float = 1.0


Bars = tuple[tuple[Strike, ...], ...]


@dataclass(frozen=True)
class PartStyle:
    """One part of a style."""

    program: int  # general MIDI's, from 0
    centre: int  # the MIDI number that its middle voice is drawn to
    voicing: Voicing
    level: float  # factor of its velocities
    mix: float  # dB of its channel
    sections: Mapping[str, Bars]  # the bars of each section


@dataclass(frozen=True)
class Style:
    """A style: its parts, with a pattern for each section."""

    name: str
    meter: int  # beats of its bars
    colour: float
    parts: Mapping[str, PartStyle]


_FOLDER = Path(__file__).with_name("styles")
_DEFAULTS: dict[str, tuple[int, int]] = {
    "piano": (0, 62),
    "guitar": (25, 60),
    "bass": (33, 38),
    "drums": (0, 60),
    "pad": (48, 66),
}


@cache
def shipped_style(name: str) -> Style:
    return load(_FOLDER / f"{name}.toml")


Lanes: TypeAlias = dict[str, str]


class _Part(Struct, forbid_unknown_fields=True, kw_only=True):
    program: Annotated[float, Meta(ge=0, le=127)] | None = None
    centre: Annotated[float, Meta(ge=24, le=96)] | None = None
    voicing: Voicing | None = None
    level: Annotated[float, Meta(ge=0, le=2)] = 1.0
    mix: Annotated[float, Meta(ge=-40, le=0)] | None = None
    intro: Lanes | None = None
    A: Annotated[Lanes, Meta(description="a table of lanes and patterns; the other sections follow from it")]
    B: Lanes | None = None
    fill: Lanes | None = None
    break_: Lanes | None = field(name="break", default=None)
    ending: Lanes | None = None


class _StyleFile(Struct, forbid_unknown_fields=True):
    format: Any = 1
    name: str = ""
    meter: Annotated[float, Meta(ge=2, le=7)] = 4
    colour: Annotated[float, Meta(ge=0, le=2)] = 0.9
    piano: _Part | None = None
    guitar: _Part | None = None
    bass: _Part | None = None
    drums: _Part | None = None
    pad: _Part | None = None


def load(path: Path) -> Style:
    """Reads a style file. Raises PluginError, with the reason, if the file is invalid."""
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path.name} is larger than {MAX_BYTES >> 10} KiB")
        return _style(path.stem, read_toml(path, _StyleFile, "a style"))
    except FileError as error:
        raise PluginError(f"the style {error}") from None
    except _StyleError as wrong:
        raise PluginError(f"the style {path.name} {wrong}") from None


class _StyleError(ValueError):
    """Error in a style file."""


def _style(name: str, file: _StyleFile) -> Style:
    common = {} if name == "common" else _common()
    given: dict[str, _Part] = {part: made for part in PARTS if (made := getattr(file, part)) is not None}
    if not given:
        raise _StyleError(f"has no part; name one of {', '.join(PARTS)}")
    meter = int(file.meter)
    parts = {part: _part(part, made, meter, common.get(part, {})) for part, made in given.items()}
    return Style(file.name or name, meter, file.colour, parts)


@cache
def _common() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = tomllib.loads((_FOLDER / "common.toml").read_text("utf-8"))
    return found


def _part(part: str, given: _Part, meter: int, common: Mapping[str, Lanes]) -> PartStyle:
    program, centre = _DEFAULTS[part]
    own = {
        "intro": given.intro,
        "A": given.A,
        "B": given.B,
        "fill": given.fill,
        "break": given.break_,
        "ending": given.ending,
    }
    lanes = {name: common.get(name, given.A) if own.get(name) is None else own[name] for name in SECTIONS}
    # A first: it is what a mistake in it is named after
    sections = {name: _bars(part, name, lanes[name] or {}, meter) for name in ("A", *SECTIONS)}
    return PartStyle(
        program if given.program is None else int(given.program),
        centre if given.centre is None else int(given.centre),
        given.voicing or ("triad" if part == "pad" else "close"),
        given.level,
        MIX[part] if given.mix is None else given.mix,
        sections,
    )


def _bars(part: str, section: str, lanes: Lanes, meter: int) -> Bars:
    allowed = DRUMS if part == "drums" else LANES
    split: dict[str, list[str]] = {}
    for lane, text in lanes.items():
        if lane not in allowed:
            raise _StyleError(f"has the lane {part}.{section}.{lane}, which is none of {', '.join(allowed)}")
        if len(text) > MAX_STEPS or set(text) - set(".-|123ABCabc "):
            raise _StyleError(f"has in {part}.{section}.{lane} other than . - | 1 2 3 A B C a b c")
        split[lane] = text.replace(" ", "").split("|")
    count = max((len(bars) for bars in split.values()), default=1)
    return tuple(
        tuple(sorted(s for lane, bars in split.items() for s in _strikes(part, lane, bars[n % len(bars)], meter)))
        for n in range(count)
    )


def _strikes(part: str, lane: str, bar: str, meter: int) -> list[Strike]:
    made: list[Strike] = []
    step = meter / max(1, len(bar))
    what = str(DRUMS[lane]) if part == "drums" else lane
    for place, letter in enumerate(bar):
        if letter in _NEEDS:
            need, accent = _NEEDS[letter]
            held = len(bar) - place - len(bar[place + 1 :].lstrip("-"))
            made.append(Strike(place * step, what, held * step, need, accent))
    return made


def fit_to_meter(bar: tuple[Strike, ...], own: int, meter: int) -> list[Strike]:
    """Fits a bar of `own` beats into `meter`: cut, or its last beats repeated. Notes held to its end still are."""
    if own == meter:
        return list(bar)
    made: list[Strike] = []
    for beat in range(meter):
        source = beat if beat < own else max(1, own - (meter - beat))
        for strike in bar:
            if source <= strike.at < source + 1:
                at = strike.at - source + beat
                length = meter - at if strike.at + strike.length >= own - 1e-6 else strike.length
                made.append(strike._replace(at=at, length=min(length, meter - at)))
    return made


def parts_of(text: str) -> tuple[str, ...]:
    """Returns the parts in a text, ordered as `styles.PARTS`; "all" names all. Raises PluginError: unknown part."""
    words = {word.strip().lower() for word in text.split(",")} - {""}
    odd = sorted(words - {*PARTS, "all"})
    if not words or odd:
        raise PluginError(f"parts takes {', '.join(PARTS)} with commas between, or all, not {(odd or [text])[0]!r}")
    return PARTS if "all" in words else tuple(part for part in PARTS if part in words)
