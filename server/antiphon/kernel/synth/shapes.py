"""Values of single notes for backends: pitch, pressure and timbre that wait for their note, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LOUDER = 1.0
"""What full pressure adds to a note's factor of level: 6 dB, about what a player expects of aftertouch."""


@dataclass(frozen=True, slots=True)
class NoteShape:
    """Values of one note.

    Attributes:
        pitch: Semitones from the note's own pitch.
        pressure: On its key, 0 to 1.
        timbre: 0 to 1; 0.5 is the instrument's own.
    """

    pitch: float = 0.0
    pressure: float = 0.0
    timbre: float = 0.5


PLAIN = NoteShape()
"""Of a note that was given no values."""


class NoteShapes:
    """The values that came before their note began. At most one for each note of each channel."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], NoteShape] = {}

    def put(self, kind: str, note: int, channel: int, value: float) -> None:
        """Keeps a value for the next note with this number.

        Args:
            kind: "pitch", "pressure" or "timbre".
            note: 0 to 127.
            channel: 1 to 16.
            value: As in `Event`.
        """
        key = (channel, note)
        self._waiting[key] = replace(self._waiting.get(key, PLAIN), **{kind: value})

    def take(self, note: int, channel: int) -> NoteShape:
        """Gives the values of a note that begins, and forgets them.

        Args:
            note: 0 to 127.
            channel: 1 to 16.

        Returns:
            Its values; `PLAIN` where none waited.
        """
        return self._waiting.pop((channel, note), PLAIN)

    def clear(self) -> None:
        """Forgets all of them."""
        self._waiting.clear()


def pressure_gain(pressure: float) -> float:
    """Converts a pressure to a factor of level.

    Args:
        pressure: 0 to 1.

    Returns:
        1 to 2: up to 6 dB louder.
    """
    return 1.0 + _LOUDER * min(max(pressure, 0.0), 1.0)
