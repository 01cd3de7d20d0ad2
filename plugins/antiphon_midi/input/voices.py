"""Sounding notes of each MIDI port, so that they can be ended when the port is disconnected or this process ends."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from antiphon.api import PEDAL
from antiphon.api.backends.transports import Bend, Control, Note, NoteOff, When
from antiphon_midi.input.mpe import MpeZones
from antiphon_midi.messages import Parser

_CHANNELS, _NOTES = 16, 128


class PortVoice:
    """One port: its parser, its zones, and what would sound on without it.

    notes: (channel, note), as they are played.  pedals, bent: channels.  sensing: it says every 0.3 s that it is there.
    last_received: when its last message came, in seconds of the monotonic clock.
    """

    def __init__(self, members: int = 0) -> None:
        """members: of the MPE zone that it has from the beginning, 0 for none."""
        self.parser = Parser()
        self.zones = MpeZones(members)
        self.notes: set[tuple[int, int]] = set()
        self.pedals: set[int] = set()
        self.bent: set[int] = set()
        self.sensing = False
        self.last_received = 0.0

    def endings(self, when: When) -> list[Note]:
        """The commands that end all its notes, which are then forgotten."""
        result: list[Note] = [NoteOff(note, channel, "", when) for channel, note in sorted(self.notes)]
        result += [Control(PEDAL, 0.0, channel, "", when) for channel in sorted(self.pedals)]
        result += [Bend(0.0, channel, "", when) for channel in sorted(self.bent)]
        self.forget()
        return result

    def forget(self) -> None:
        self.zones.forget()
        self.notes.clear()
        self.pedals.clear()
        self.bent.clear()


class HeldNotes:
    """The notes of all ports in memory that outlives this process: one byte for each note of each channel."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, _CHANNELS * _NOTES)
            self._map = mmap.mmap(handle, _CHANNELS * _NOTES)
        finally:
            os.close(handle)

    def put(self, channel: int, note: int, sounds: bool) -> None:
        self._map[(channel - 1) * _NOTES + note] = sounds

    def left(self) -> Iterator[tuple[int, int]]:
        """The (channel, note) pairs that an earlier process left sounding; clears them."""
        for place, sounds in enumerate(self._map[:]):
            if sounds:
                self._map[place] = 0
                yield place // _NOTES + 1, place % _NOTES

    def forget(self) -> None:
        self._map[:] = bytes(len(self._map))
