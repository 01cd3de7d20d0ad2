"""Chords: the 24 triads as numbers (0 to 11 major on C to B, 12 to 23 minor), and `Chord` with sevenths and bass.

The harmoniser estimates triads; chords that are given, recognised or played are `Chord`s.
"""

import re
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from antiphon.api.backends.signal import FLAT_NAMES, named_note
from antiphon.signal.harmony import chord_steps, read_symbol

KEYS = FLAT_NAMES + tuple(f"{name}m" for name in FLAT_NAMES)
"""The 24 keys, and the 24 triads, by number."""
_MAJOR = ("", "maj", "maj7", "7", "maj6", "maj9", "9")
_MINOR = ("min", "min7", "min6", "minmaj7", "min9")


class Kind(NamedTuple):
    """Chord type. tones: semitones above the root.  harte: its label in annotations.  xml: its name in MusicXML.

    heard: whether held keys are recognised as it.
    """

    tones: tuple[int, ...]
    harte: str
    xml: str
    heard: bool = True


KINDS = {
    "": Kind((0, 4, 7), "maj", "major"),
    "m": Kind((0, 3, 7), "min", "minor"),
    "7": Kind((0, 4, 7, 10), "7", "dominant"),
    "maj7": Kind((0, 4, 7, 11), "maj7", "major-seventh"),
    "m7": Kind((0, 3, 7, 10), "min7", "minor-seventh"),
    "sus4": Kind((0, 5, 7), "sus4", "suspended-fourth"),
    "sus2": Kind((0, 2, 7), "sus2", "suspended-second"),
    "7sus4": Kind((0, 5, 7, 10), "sus4(b7)", "suspended-fourth"),
    "6": Kind((0, 4, 7, 9), "maj6", "major-sixth"),
    "m6": Kind((0, 3, 7, 9), "min6", "minor-sixth"),
    "dim": Kind((0, 3, 6), "dim", "diminished"),
    "m7b5": Kind((0, 3, 6, 10), "hdim7", "half-diminished"),
    "dim7": Kind((0, 3, 6, 9), "dim7", "diminished-seventh"),
    "aug": Kind((0, 4, 8), "aug", "augmented"),
    "9": Kind((0, 4, 7, 10, 2), "9", "dominant-ninth"),
    "maj9": Kind((0, 4, 7, 11, 2), "maj9", "major-ninth"),
    "m9": Kind((0, 3, 7, 10, 2), "min9", "minor-ninth"),
    "mmaj7": Kind((0, 3, 7, 11), "minmaj7", "major-minor"),
    "add9": Kind((0, 4, 7, 2), "maj(9)", "major"),
    "5": Kind((0, 7, 7), "5", "power", heard=False),
    "7b9": Kind((0, 4, 7, 10, 1), "7(b9)", "dominant", heard=False),
    "7#9": Kind((0, 4, 7, 10, 3), "7(#9)", "dominant", heard=False),
    "7#11": Kind((0, 4, 7, 10, 6), "7(#11)", "dominant", heard=False),
    "7b13": Kind((0, 4, 7, 10, 8), "7(b13)", "dominant", heard=False),
    "7#5": Kind((0, 4, 8, 10), "aug(b7)", "augmented-seventh", heard=False),
    "7b5": Kind((0, 4, 6, 10), "7(b5)", "dominant", heard=False),
    "7alt": Kind((0, 4, 8, 10, 1), "7(b9,#5)", "dominant", heard=False),
    "7#5#9": Kind((0, 4, 8, 10, 3), "7(#5,#9)", "dominant", heard=False),
    "13": Kind((0, 4, 7, 10, 9), "13", "dominant-13th", heard=False),
    "9sus4": Kind((0, 5, 7, 10, 2), "sus4(b7,9)", "suspended-fourth", heard=False),
    "69": Kind((0, 4, 7, 9, 2), "maj6(9)", "major-sixth", heard=False),
    "m69": Kind((0, 3, 7, 9, 2), "min6(9)", "minor-sixth", heard=False),
    "m11": Kind((0, 3, 7, 10, 5), "min11", "minor-11th", heard=False),
    "maj7#11": Kind((0, 4, 7, 11, 6), "maj7(#11)", "major-seventh", heard=False),
    "maj7#5": Kind((0, 4, 8, 11), "aug(7)", "major-seventh", heard=False),
    "madd9": Kind((0, 3, 7, 2), "min(9)", "minor", heard=False),
}
"""Chord types by the suffix of their names. Of two with equal tones the first is recognised."""
_DEGREE_OF = {0: "1", 1: "b2", 2: "2", 3: "b3", 4: "3", 5: "4", 6: "b5", 7: "5", 8: "b6", 9: "6", 10: "b7", 11: "7"}
_LABEL = re.compile(r"([A-G](?:#+|b+)?)(?::([^/\s]+))?(?:/([b#]*\d+))?$")
_LISTED = re.compile(r"([^()]*)(?:\(([^()]*)\))?")
_INTERVAL = re.compile(r"([b#]*)(\d{1,2})")
_SCALE = (0, 2, 4, 5, 7, 9, 11)
_BASSES = frozenset(f"{sign}{n}" for n in range(2, 8) for sign in ("", "b", "#"))
"""Degrees that are a bass behind a root alone: C/5 is C over G, and C/9 a symbol."""
_OMITTED = {(0, 4, 10): "7", (0, 3, 10): "m7", (0, 4, 11): "maj7"}
_KIND_OF = {frozenset(tones): name for tones, name in _OMITTED.items()} | {
    frozenset(kind.tones): name for name, kind in reversed(KINDS.items()) if kind.heard
}
_HARTE = {kind.harte: name for name, kind in KINDS.items()}
_WEIGHTS = {1: 1.5, 5: 1.2, 6: 1.5, 7: 1.5, 8: 1.2, 9: 2.0, 10: 3.0, 11: 3.0}
"""Weights of the tones that a kind lacks, when the nearest kind is chosen; 1 for other tones."""
UNKNOWN = "X"
"""Label of annotations for a chord that is none of their vocabulary."""
_NONE = ("N", "NC", "n", "nc", "&pause", UNKNOWN)
"""Texts that mean no chord, without full stops."""


class Chord(NamedTuple):
    """Chord with root and bass as pitch classes, and kind, a key of `KINDS`."""

    root: int
    kind: str
    bass: int

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes: root, third or its suspension, fifth, and extensions."""
        return tuple((self.root + step) % 12 for step in KINDS[self.kind].tones)

    @property
    def triad(self) -> int:
        """Nearest of the 24 triads."""
        return self.root + 12 * (3 in KINDS[self.kind].tones)

    @property
    def name(self) -> str:
        """Chord symbol: "Am7", "C/E"."""
        below = f"/{FLAT_NAMES[self.bass]}" if self.bass != self.root else ""
        return f"{FLAT_NAMES[self.root]}{self.kind}{below}"

    @property
    def label(self) -> str:
        """Annotation label: "A:min7", "C:maj/3"."""
        below = f"/{_DEGREE_OF[(self.bass - self.root) % 12]}" if self.bass != self.root else ""
        return f"{FLAT_NAMES[self.root]}:{KINDS[self.kind].harte}{below}"


@cache
def triad_chord(number: int) -> Chord:
    return Chord(number % 12, "m" if number >= 12 else "", number % 12)


@lru_cache(4096)
def read_chord(text: str) -> Chord | None:
    """Reads a chord symbol or label as the nearest playable kind: "Am7", "C/E", "A:min7", "C:maj/3", "C:(1,5)", "C/5".

    Returns the chord; None for "N" and "X". Raises ValueError: the text is no chord.
    """
    if text.replace(".", "") in _NONE:
        return None
    if (symbol := _read(text)) is None:
        raise ValueError(text)
    root, steps, bass = symbol
    return Chord(root, nearest_kind(steps), bass)


def _read(text: str) -> tuple[int, tuple[int, ...], int] | None:
    """Root, steps and bass of a label in Harte's syntax, or of a chord symbol; None for another text."""
    found = _LABEL.match(text)
    name, kind, degree = found.groups() if found else ("", None, None)
    if not name or not (kind or degree) or (kind is None and degree not in _BASSES):
        return read_symbol(text)
    steps, root = _label_steps(kind or "maj"), (named_note(name[0]) + name.count("#") - name[1:].count("b")) % 12
    bass = 0 if degree is None else _interval(degree)
    return None if steps is None or bass is None else (root, steps, (root + bass) % 12)


def _label_steps(kind: str) -> tuple[int, ...] | None:
    """Semitones above the root of a label's kind: "min7", "7(#9)", "(1,5)", "maj(*3)" without the third."""
    if kind in _HARTE:
        return KINDS[_HARTE[kind]].tones
    steps = None if kind.startswith("(") else chord_steps(kind)
    if steps is not None or (found := _LISTED.fullmatch(kind)) is None:
        return steps
    short, listed = found.groups()
    known = KINDS[_HARTE[short]].tones if short in _HARTE else chord_steps(short) if short else (0,)
    if known is None:
        return None
    made = set(known)
    for word in (listed or "").split(","):
        step = _interval(word.strip().lstrip("*"))
        if step is None:
            return None
        (made.discard if word.strip().startswith("*") else made.add)(step)
    return tuple(sorted(made))


def _interval(text: str) -> int | None:
    """Semitones, 0 to 11, of an interval such as "b7" or "#11"."""
    if (found := _INTERVAL.fullmatch(text)) is None or not int(found[2]):
        return None
    return (_SCALE[(int(found[2]) - 1) % 7] + found[1].count("#") - found[1].count("b")) % 12


def substitute_chord(text: str) -> str:
    """Returns the name of the chord played in place of a text that no kind matches exactly; otherwise ""."""
    symbol = _read(text)
    if symbol is None or {step % 12 for step in symbol[1]} == set(KINDS[nearest_kind(symbol[1])].tones):
        return ""
    chord = read_chord(text)
    return chord.name if chord and chord.name != text else ""


@lru_cache(4096)
def nearest_kind(steps: tuple[int, ...]) -> str:
    """Returns the kind whose tones are nearest to `steps`, in semitones above the root.

    Tones that the kind adds count most, then a third, seventh or fifth that it lacks, then other tones.
    """
    wanted = {step % 12 for step in steps}
    third = next((step for step in (4, 3, 5, 2) if step in steps), 0)
    weights = {**dict.fromkeys(wanted, 1.0), **_WEIGHTS, third: 4.0}

    def distance(kind: str) -> float:
        own = set(KINDS[kind].tones)
        lacking = sum(weights[step] for step in wanted - own)
        return lacking + sum(8.0 if step in (3, 4) else 5.0 for step in own - wanted)

    return min(KINDS, key=distance)


def recognise(pitches: Iterable[int]) -> Chord | None:
    """Chord of the held keys, its lowest key the bass; None below three pitch classes or for an unknown chord."""
    keys = sorted(pitches)
    if not keys:
        return None
    low = keys[0] % 12
    classes = {key % 12 for key in keys}
    for held in (classes, classes - {low}):
        if len(held) < 3:
            continue
        for up in range(12):
            root = (low + up) % 12
            if root not in held:
                continue
            kind = _KIND_OF.get(frozenset((c - root) % 12 for c in held))
            # a suspension or sixth on another tone than the lowest is the inversion of a commoner chord
            if kind is not None and (root == low or kind[:3] not in ("sus", "6", "m6")):
                return Chord(root, kind, low)
    return None


_ROOT_ABOVE = {5: 7, 8: 4, 9: 3}
"""Root of two keys a fourth or a sixth apart: the upper key. Indexed by the interval from it up to the lower key."""
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))


def implied_chord(pitches: Collection[int], key: int) -> Chord:
    """Chord implied by keys unknown to `recognise`: a root, a fifth, a third; completed from the key.

    `pitches`: at least one. `key`: 0 to 23.
    """
    low = min(pitches) % 12
    above = {(pitch - low) % 12 for pitch in pitches} - {0}
    root = low
    if len(above) == 1 and (step := min(above)) in _ROOT_ABOVE:
        root, above = (low + step) % 12, {_ROOT_ABOVE[step]}
    scale = {(key + step) % 12 for step in _SCALES[key // 12]}
    leading = (key + 11) % 12 if key >= 12 else -1
    if above == {6} and root != leading and ((root + 3) % 12 not in scale or (low + 6) % 12 == leading):
        root = (low + 6) % 12
    # of a minor key the dominant is major
    major = (root + 4) % 12 in scale or (root + 3) % 12 not in scale or (key >= 12 and root == (key + 7) % 12)
    natural = root != leading and major
    minor = 3 in above if above & {3, 4} else (not natural or 6 in above)
    if minor and 7 not in above and (6 in above or ((root + 7) % 12 not in scale and (root + 6) % 12 in scale)):
        return Chord(root, "dim", low)
    kinds = ("m7", "mmaj7", "m") if minor else ("7", "maj7", "")
    return Chord(root, kinds[0 if 10 in above else 1 if 11 in above else 2], low)


def tones(chord: int) -> tuple[int, int, int]:
    """Root, third, fifth of a triad as pitch classes."""
    root, minor = chord % 12, chord >= 12
    return root, (root + (3 if minor else 4)) % 12, (root + 7) % 12


def relative(chord: int, tonic: int) -> int:
    """Triad relative to `tonic`: its root counted in semitones above it."""
    return chord // 12 * 12 + (chord - tonic) % 12


def absolute(chord: int, tonic: int) -> int:
    """Inverse of `relative`."""
    return chord // 12 * 12 + (chord % 12 + tonic) % 12


def label(chord: int) -> str:
    """Returns the annotation label of a triad: "C:maj", "A:min"."""
    return f"{FLAT_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}"


def parse(text: str) -> int:
    """Reads a chord label or key; returns its number, -1 if it is neither major nor minor, or -2 for none ("N")."""
    if text == "N":
        return -2
    name, _, quality = text.partition(":")
    quality = quality.partition("/")[0]
    if quality in _MAJOR:
        return named_note(name) % 12
    return 12 + named_note(name) % 12 if quality in _MINOR else -1
