"""The names that people write for a key, as the analyses write it: "A minor" for "Am", "a", "a-Moll"."""

from __future__ import annotations

import re

from antiphon.api import SHARP_NAMES, UsageError
from antiphon.api.backends.runtime import short_repr

_KEY = re.compile(r"([A-Ha-h])(#|♯|♭|is|b|es|(?<=[AEae])s)?[\s_:.-]*([a-z]*)", re.I)
_NATURAL = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_MODES = {"minor": ("m", "mi", "min", "minor", "moll"), "major": ("maj", "major", "dur")}
ALLOWED = 'a key is written as "A minor", "Am", "a", "Bb major", "F#m" or "h-Moll"'


def key_named(text: str) -> str:
    """The key that a text names, as "A# minor": a note of A to H, # or b, and the mode.

    Modes are m, min, minor, moll, maj, major or dur in any case, but M for major. Without a mode a capital is major, a
    small letter minor. With moll and dur names are German: B is a semitone below H.

    Raises:
        UsageError: It names none.
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
