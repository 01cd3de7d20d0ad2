"""Search by label or key, and common traits of two sounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.api import SHARP_NAMES, UsageError
from antiphon.api.backends.analysis import analyses
from antiphon.api.backends.runtime import short_repr

_KEY = re.compile(r"([A-Ha-h])(#|♯|♭|is|b|es|(?<=[AEae])s)?[\s_:.-]*([a-z]*)", re.I)
_NATURAL = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_MODES = {"minor": ("m", "mi", "min", "minor", "moll"), "major": ("maj", "major", "dur")}
ALLOWED = 'a key is written as "A minor", "Am", "a", "Bb major", "F#m" or "h-Moll"'


def key_named(text: str) -> str:
    """Key named by a text, as "A# minor": a note of A to H, # or b, and the mode.

    Modes are m, min, minor, moll, maj, major or dur in any case, but M for major. Without a mode a capital is major, a
    small letter minor. With moll and dur names are German: B is a semitone below H. Raises `UsageError`: it names none.
    """
    match = _KEY.fullmatch(text.strip())
    if match is not None:
        note, accidental, word = match[1], (match[2] or "").casefold(), match[3]
        if word:
            mode = "major" if word == "M" else next((m for m, said in _MODES.items() if word.casefold() in said), "")
        else:
            mode = "minor" if note.islower() else "major"
        place = _NATURAL[note.casefold()] + {"": 0, "#": 1, "♯": 1, "is": 1}.get(accidental, -1)
        if note in "Bb" and not accidental and word.casefold() in ("moll", "dur"):
            place -= 1
        if mode:
            return f"{SHARP_NAMES[place % 12]} {mode}"
    raise UsageError(f"--key does not understand {short_repr(text)}: {ALLOWED}")


MIN_PROBABILITY = 0.2
"""Default minimum probability of a label; a classifier's first label always counts."""
MAX_TEMPO_DEVIATION = 0.04
"""Maximum relative difference of tempos that count as equal, so that they can be mixed."""


class LabelSearch:
    """Search for sounds by labels of any classifier: all of `labels`, each at least `sure`, else `MIN_PROBABILITY`.

    `quantities` are those of kind labels that there are, `seen` all labels that were found.
    """

    def __init__(self, labels: Sequence[str], sure: float | None) -> None:
        self._labels, self._sure = labels, sure
        self.seen: set[str] = set()
        self.quantities = tuple(
            quantity.name
            for analysis in (analyses().values() if labels else ())
            for quantity in analysis.quantities
            if quantity.kind == "labels"
        )

    def confidence(self, values: Mapping[str, Any]) -> float | None:
        """Minimum probability of the labels in one sound, by its values; None if one is missing."""
        best: dict[str, float] = {}
        for quantity in self.quantities:
            for place, (label, probability) in enumerate(values.get(quantity) or ()):
                self.seen.add(label)
                least = MIN_PROBABILITY if self._sure is None else self._sure
                if probability >= least or (place == 0 and self._sure is None):
                    best[label] = max(best.get(label, 0.0), probability)
        return min(best[label] for label in self._labels) if best.keys() >= set(self._labels) else None


def shared_traits(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Common traits of two summaries, in words: "124 bpm", "A minor", "loop"."""
    found = []
    if one["tempo"] and other["tempo"] and abs(other["tempo"] / one["tempo"] - 1.0) <= MAX_TEMPO_DEVIATION:
        found.append("same tempo")
    found += [f"same {name}" for name in ("key", "kind", "artist", "genre") if one[name] and one[name] == other[name]]
    return found
