"""Converts events to MIDI messages and to rows of numbers in a hop."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from antiphon.api import Event, Samples
from antiphon.api.backends.synths import SharedPressure

MidiMessage: TypeAlias = tuple[int, bytes]
"""MIDI message with its frame within the hop."""
MAX_EVENTS = 200
"""Maximum events per hop."""
COLUMNS = 5
HEAD = 3
"""Header size of a hop: 1 where controls and events are present, number of events, save counter of the state."""
_KINDS = ("on", "off", "control", "bend", "program", "pressure")


def pack(events: Sequence[Event], into: Samples) -> int:
    """Writes events into float32 `[MAX_EVENTS * COLUMNS]`; returns their number. Events without MIDI are left out."""
    count = 0
    for event in events:
        if event.kind in _KINDS and count < MAX_EVENTS:
            at = count * COLUMNS
            into[at : at + COLUMNS] = (
                _KINDS.index(event.kind), event.offset, event.number, event.value, event.channel,
            )  # fmt: skip
            count += 1
    return count


def unpack(rows: Samples, count: int, hop: int, pressures: SharedPressure) -> list[MidiMessage]:
    """Returns the messages of a hop, in order. `pressures`: of the stream."""
    found = []
    lines = rows[: count * COLUMNS].reshape(-1, COLUMNS).tolist()
    for kind, offset, number, value, channel in sorted(lines, key=lambda line: line[1]):
        frame, low, note = min(hop - 1, max(0, int(offset))), (int(channel) - 1) & 15, int(number) & 127
        level = min(127, max(0, round(value * 127)))
        for key, pressure in pressures.split(Event(_KINDS[int(kind)], 0, note, value, low + 1)):
            share = min(127, max(0, round(pressure * 127)))
            found.append((frame, bytes((0xD0 | low, share) if key is None else (0xA0 | low, key, share))))
        match _KINDS[int(kind)]:
            case "pressure":
                continue
            case "on":
                data = bytes((0x90 | low, note, max(1, level)))
            case "off":
                data = bytes((0x80 | low, note, 64))
            case "control":
                data = bytes((0xB0 | low, note, level))
            case "bend":
                bend = min(16383, max(0, round(8192 + value * 8192)))
                data = bytes((0xE0 | low, bend & 127, bend >> 7))
            case _:
                data = bytes((0xC0 | low, note))
        found.append((frame, data))
    return found


EMPTY = np.zeros(MAX_EVENTS * COLUMNS, np.float32)
