"""Pressure for players by MIDI."""

from antiphon.kernel.contract.event import Event
from antiphon.synths.shapes import RESET

_ENDING = frozenset({120, 123})
"""Controllers that end all notes of a channel."""


class SharedPressure:
    """Splits pressure of notes for players by MIDI: what all of a channel have is its channel's, the rest its key's.

    Most MIDI instruments follow channel pressure alone, which Antiphon gives to each note that is held.
    """

    def __init__(self) -> None:
        self._notes: dict[int, dict[int, float]] = {}
        self._shared: dict[int, float] = {}
        self._keys: dict[tuple[int, int], float] = {}  # kept by what is played beyond the note
        self._next: dict[tuple[int, int], float] = {}

    def split(self, event: Event) -> list[tuple[int | None, float]]:
        """Returns what is sent in place of a pressure, and before any other event: a key or None, and its pressure."""
        channel, number = event.channel, event.number
        notes, shared = self._notes.setdefault(channel, {}), self._shared.get(channel, 0.0)
        match event.kind:
            case "on":
                rest = shared if notes else 0.0
                notes[number] = self._next.pop((channel, number), notes.get(number, rest))
            case "off":
                notes.pop(number, None)
            case "control" if number in _ENDING:
                notes.clear()
            case "control" if number == RESET:  # what is played resets its own
                notes.update(dict.fromkeys(notes, 0.0))
                self._shared.pop(channel, None)
                self._keys = {key: value for key, value in self._keys.items() if key[0] != channel}
            case "pressure" if number not in notes:
                self._next[channel, number] = event.value
                return []
            case "pressure":
                notes[number] = event.value
        if event.kind not in ("on", "pressure"):
            return []
        least = min(notes.values())
        self._shared[channel] = least
        found: list[tuple[int | None, float]] = [(None, least)] if least != shared else []
        for note, value in notes.items():
            alone = value if value > least else 0.0
            if alone != self._keys.get((channel, note), 0.0):
                self._keys[channel, note] = alone
                found.append((note, alone))
        return found

    def clear(self) -> None:
        """Clears all values."""
        for table in (self._notes, self._shared, self._keys, self._next):
            table.clear()
