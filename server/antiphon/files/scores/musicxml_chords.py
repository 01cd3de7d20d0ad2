"""Chord symbols of MusicXML, its `harmony` elements, as text that readers of lead sheets and of annotations take."""

import re
from xml.etree.ElementTree import Element

from antiphon.signal.harmony import chord_steps, read_symbol

NO_CHORD = "N"
"""Text of a place without a chord."""
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_SUFFIXES = {
    "major": "", "minor": "m", "augmented": "aug", "diminished": "dim", "dominant": "7", "major-seventh": "maj7",
    "minor-seventh": "m7", "diminished-seventh": "dim7", "augmented-seventh": "7#5", "half-diminished": "m7b5",
    "major-minor": "mmaj7", "major-sixth": "6", "minor-sixth": "m6", "dominant-ninth": "9", "major-ninth": "maj9",
    "minor-ninth": "m9", "dominant-11th": "11", "major-11th": "maj11", "minor-11th": "m11", "dominant-13th": "13",
    "major-13th": "maj13", "minor-13th": "m13", "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5",
    "Neapolitan": "", "Italian": "7(no5)", "French": "7b5", "German": "7", "Tristan": "m7b5",
}  # fmt: skip
"""Suffixes of chord symbols by the names of MusicXML."""
_ROOT_ALONE = "pedal"
"""The kind of the root alone; of other kinds those that nothing tells are read so, with their degrees."""
_DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 10, 9: 14, 11: 17, 13: 21}
"""Semitones of degrees above the root; an added seventh is that of a dominant."""
_DEGREE_OF = {3: 3, 4: 3, 2: 2, 5: 4, 6: 5, 7: 5, 8: 5, 9: 6, 10: 7, 11: 7, 13: 9, 14: 9, 15: 9, 17: 11, 18: 11, 21: 13}
_HARTE = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


def read_chord_symbol(item: Element, shift: int) -> str | None:
    """Text of the first chord of a `harmony` element; `NO_CHORD` for none, and None for one without a named root.

    `shift`: semitones by which the part sounds above what is written. The text is a chord symbol, as "F#m7b5/A" or
    "E7(#9)", where one has the tones of the element; else a label of its degrees, as "C:(1,3,b6)/3".
    """
    kind = item.find("kind")
    named = "" if kind is None else (kind.text or "").strip()
    if named == "none":
        return NO_CHORD
    root = _note_name(item.find("root"), "root", shift)
    if root is None:
        return None
    suffix, degrees = _SUFFIXES.get(named, ""), item.findall("degree")
    printed = "" if kind is None else (kind.get("text") or "").strip()
    if printed and named not in _SUFFIXES and chord_steps(printed) is not None and (named != "other" or not degrees):
        suffix = printed
    elif named not in _SUFFIXES:
        named = _ROOT_ALONE
    tones = {1: 0} | ({} if named == _ROOT_ALONE else _tones(suffix))
    if named == "diminished-seventh":
        tones[7] = tones.pop(6)
    words = []
    for one in degrees:
        value, alter, how = (one.findtext(f"degree-{name}") or "" for name in ("value", "alter", "type"))
        if not value.strip().isdigit() or (degree := int(value)) not in _DEGREES:
            continue
        by = int(found[0]) if (found := re.match(r"[+-]?\d", alter.strip())) else 0
        if how.strip() == "subtract":
            tones.pop(degree, None)
            words.append(f"(no{degree})")
            continue
        tones[degree] = (tones.get(degree, _DEGREES[degree]) if how.strip() == "alter" else _DEGREES[degree]) + by
        words.append(f"({'b' * -by}{'#' * by}{degree})" if by else f"(add{degree})")
    bass = _note_name(item.find("bass"), "bass", shift) or _inverted(item, root, tones)
    below = "" if bass is None or _pitch_class(bass) == _pitch_class(root) else f"/{bass}"
    wanted = {step % 12 for step in tones.values()}
    for text in (printed, suffix + "".join(words), f"7{suffix}" if words == ["(add7)"] else suffix):
        read = read_symbol(f"{root}{text}{below}")
        if read is not None and read.root == _pitch_class(root) and {step % 12 for step in read.steps} == wanted:
            return f"{root}{text}{below}"
    above = f"/{_HARTE[(_pitch_class(bass) - _pitch_class(root)) % 12]}" if below and bass is not None else ""
    return f"{root}:({','.join(_HARTE[step] for step in sorted(wanted))}){above}"


def _tones(suffix: str) -> dict[int, int]:
    return {_DEGREE_OF[step]: step for step in chord_steps(suffix) or () if step}


def _note_name(item: Element | None, what: str, shift: int) -> str | None:
    """Name of a note as it sounds; of a transposed one with flats."""
    letter = "" if item is None else (item.findtext(f"{what}-step") or "").strip()
    if item is None or letter not in _LETTERS:
        return None
    found = re.match(r"[+-]?[012]", (item.findtext(f"{what}-alter") or "").strip())
    by = int(found[0]) if found else 0
    name = letter + "#" * by + "b" * -by
    return _NAMES[(_pitch_class(name) + shift) % 12] if shift % 12 else name


def _inverted(item: Element, root: str, tones: dict[int, int]) -> str | None:
    place = (item.findtext("inversion") or "").strip()
    steps = sorted(tones.values())
    if not place.isdigit() or not 0 < int(place) < len(steps):
        return None
    return _NAMES[(_pitch_class(root) + steps[int(place)]) % 12]


def _pitch_class(name: str) -> int:
    return (_LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12
