"""Note-to-sample mapping: names of General MIDI drums, and rows in order."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.api import PluginError
from antiphon.api.backends.runtime import composed, instead
from antiphon.kernel.session.play import other_words

FIRST = 36
"""The note of the first pad: General MIDI's bass drum, and the lowest pad of most drum machines."""
DRUMS: Mapping[int, tuple[str, ...]] = {
    int(key): tuple(names)
    for key, names in tomllib.loads(Path(__file__).with_name("drums.toml").read_text("utf-8")).items()
}
"""Names of folders by the keys of General MIDI's drums."""
HATS = frozenset({42, 44, 46})
"""Hi-hats, which cut each other: closed, pedal and open."""
HAT_GROUP = -1
"""Cut group of the hi-hats, which performers cannot set."""


BANKS = {"tr808_": ("RolandTR808_", "808"), "tr909_": ("RolandTR909_", "909")}
"""Bank prefixes of drum names in other programs: Strudel, and Dirt-Samples."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    folder: tuple(names.split())
    for folder, names in tomllib.loads(Path(__file__).with_name("aliases.toml").read_text("utf-8")).items()
}
"""Further names of folders, in other programs."""


def drum_rows(names: tuple[str, ...]) -> tuple[int, ...]:
    """Row of `names` played by each of the 128 notes, -1 for none."""
    places = {name.lower(): place for place, name in reversed(list(enumerate(names)))}
    return tuple(next((places[name] for name in DRUMS.get(note, ()) if name in places), -1) for note in range(128))


def rows_by_name(names: tuple[str, ...]) -> dict[str, int]:
    """Row of `names` by name: its own, and its aliases, the other names of the same drum; also within a bank, the word
    before a "_".

    An existing folder's name has priority; an alias maps to the first existing folder in its row of `DRUMS`. Names of
    `ALIASES` come last.
    """
    rows = {name: row for row, name in enumerate(names)}
    others = dict[str, int]()
    banks = {"", *(name.partition("_")[0] + "_" for name in names if "_" in name)}
    for bank in sorted(banks):
        for drum in DRUMS.values():
            row = next((rows[bank + name] for name in drum if bank + name in rows), None)
            if row is not None:
                said = [form + name for form in (bank, *BANKS.get(bank, ())) for name in drum]
                others |= {name: row for name in said if name not in others}
    return {**{name: rows[folder] for name, folder in other_names(names).items()}, **others, **rows}


def other_names(names: Sequence[str]) -> dict[str, str]:
    """Maps other programs' names to folders of similar sounds."""
    folders = {folder: also for folder, also in ALIASES.items() if folder in names}
    return {name: folder for folder, also in folders.items() for name in also if name not in names}


def sound_words(names: Sequence[str], general: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Words of a sampler: its folders, then their other names, and the instruments of a soundfont."""
    others = {name: folder for name, folder in other_names(names).items() if name not in general}
    return {"s": tuple(dict.fromkeys((*names, *rows_by_name(tuple(names)), *general))), **other_words("s", others)}


_NOTE = r"([a-g])([s#b]?)(-?\d)(?=v\d{1,3}(?![a-z\d])|(?![a-z\d]))"
"""Matches the name of a note at the end of a word, or before a layer, as in A3v8."""
_FIRST, _INSIDE = (re.compile(before + _NOTE, re.IGNORECASE) for before in ("", r"(?<![a-z\d#])"))
_MAPPED = re.compile(_NOTE + r" \d{3} ", re.IGNORECASE)
"""Matches the beginning of a file of a pack whose listing says its note."""
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
NoteTable = tuple[tuple[int, ...], ...]
"""For each of the 128 notes, the indices of a folder's samples that play it."""


def recorded_notes(names: Sequence[str], *, mapped: bool = False) -> tuple[int, ...]:
    """MIDI numbers at which a folder's samples were recorded, by their files' names; -1 for a name without a note.

    A note is the beginning of a name, `c4.ogg`, `A3v8.wav`, or in a folder of several pitch classes, or of one file,
    its last word, `Piano_A3.wav`. `mapped`: only as the listing of a pack states it.
    """
    stems = [name.partition("/")[2] for name in names]
    if mapped:
        return tuple(_number(_MAPPED.match(stem)) for stem in stems)
    first = tuple(_number(_FIRST.match(stem)) for stem in stems)
    if max(first, default=-1) >= 0:
        return first
    inside = tuple(_number(next(reversed(list(_INSIDE.finditer(stem))), None)) for stem in stems)
    several = len({note % 12 for note in inside if note >= 0}) > 1
    return inside if several or len(names) == 1 else first


def _number(found: re.Match[str] | None) -> int:
    if found is None:
        return -1
    letter, sign, octave = found.groups()[:3]
    number = _STEPS[letter.lower()] + {"": 0, "b": -1}.get(sign.lower(), 1) + 12 * (int(octave) + 1)
    return number if 0 <= number <= 127 else -1


def nearest_samples(recorded: Sequence[int]) -> NoteTable:
    """Samples that play each note: those recorded nearest to it, of two as near the first; () if none has a note."""
    known = list(dict.fromkeys(note for note in recorded if note >= 0))
    if not known:
        return ()
    places = {note: tuple(n for n, own in enumerate(recorded) if own == note) for note in known}
    return tuple(places[min(known, key=lambda own: abs(own - note))] for note in range(128))


_PAD = re.compile(r"([0-9]{1,3})=(.+?)(?::([0-9]{1,4}))?(?:@([0-9]{1,2}))?")
_NOTES, _GROUPS = 128, 64
_FORM = (
    "map takes NOTE=NAME, with :N for its sample N and @GROUP for its cut group, as in 36=bd 38=sd:1 42=hh@1 46=oh@1"
)


@dataclass(frozen=True, slots=True)
class Pad:
    """Sample assigned to a note."""

    row: int
    index: int  # which sample of it
    cut: int  # its cut group, 0 for none


def parse_pad_map(text: str, names: tuple[str, ...]) -> dict[int, Pad]:
    """Reads a pad map, such as `36=bd 38=sd:1 42=hh@1`, with spaces or commas between; returns the pads by note.

    Raises PluginError: it is invalid, names a note twice, or names a missing folder.
    """
    pads: dict[int, Pad] = {}
    for word in composed(text).replace(",", " ").split():
        found = _PAD.fullmatch(word)
        if found is None or int(found[1]) >= _NOTES or int(found[4] or 0) > _GROUPS:
            raise PluginError(f"{_FORM}, notes 0 to {_NOTES - 1} and groups 1 to {_GROUPS}, and {word[:40]!r} is none")
        if found[2] not in names:
            raise PluginError(f"map names {found[2][:40]!r}, which the library lacks{instead(found[2], names)}")
        if int(found[1]) in pads:
            raise PluginError(f"map names the note {found[1]} twice; leave one of them out")
        pads[int(found[1])] = Pad(names.index(found[2]), int(found[3] or 0), int(found[4] or 0))
    return pads
