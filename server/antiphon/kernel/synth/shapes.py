"""Per-note expression for backends: pitch, pressure and timbre held for their note, and their meaning."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LOUDER = 1.0
"""Gain added at full pressure: 6 dB, a common response to aftertouch."""


@dataclass(frozen=True, slots=True)
class NoteShape:
    """Expression values of one note.

    Attributes:
        pitch: Semitones from the note's own pitch.
        pressure: On its key, 0 to 1.
        timbre: 0 to 1; 0.5 is the instrument's own.
    """

    pitch: float = 0.0
    pressure: float = 0.0
    timbre: float = 0.5


PLAIN = NoteShape()
"""Expression of a note without values."""


class NoteShapes:
    """Expression values received before their note began. At most one set for each note of each channel."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], NoteShape] = {}

    def put(self, kind: str, note: int, channel: int, value: float) -> None:
        """Stores a value for the next note of this number.

        Args:
            kind: "pitch", "pressure" or "timbre".
            note: 0 to 127.
            channel: 1 to 16.
            value: As in `Event`.
        """
        key = (channel, note)
        self._waiting[key] = replace(self._waiting.get(key, PLAIN), **{kind: value})

    def take(self, note: int, channel: int) -> NoteShape:
        """Removes and returns the values of a note that begins.

        Args:
            note: 0 to 127.
            channel: 1 to 16.

        Returns:
            Its values; `PLAIN` where none waited.
        """
        return self._waiting.pop((channel, note), PLAIN)

    def clear(self) -> None:
        """Clears all values."""
        self._waiting.clear()


def pressure_gain(pressure: float) -> float:
    """Gain factor of a pressure.

    Args:
        pressure: 0 to 1.

    Returns:
        1 to 2: up to 6 dB louder.
    """
    return 1.0 + _LOUDER * min(max(pressure, 0.0), 1.0)
