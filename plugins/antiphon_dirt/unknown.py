"""Sounds that an orbit's library does not have: counted by name, and a sentence once for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from antiphon.api.backends.runtime import instead

MOST = 64
"""Names that are counted apart and have had their sentence; further ones are counted as one, without a sentence."""
SHOWN = 40
"""Characters of a name in a sentence."""
OTHERS = "others"


class UnknownSounds:
    """Names of sounds that were asked for and not found. `counts`: how often, by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def clear(self) -> None:
        """Forgets the names, as for another patch."""
        self.counts.clear()

    def note(self, node: str, sound: str, known: Sequence[str]) -> str:
        """Counts an unknown sound; returns a sentence with the nearest names the first time, "" afterwards."""
        name = sound if len(sound) <= SHOWN else f"{sound[: SHOWN - 3]}..."
        if name not in self.counts and len(self.counts) >= MOST:
            name = OTHERS
        self.counts[name] += 1
        if self.counts[name] > 1 or name == OTHERS:
            return ""
        return f"{node} has no sound {name!r}, and its events are silent{instead(sound, known)}"
