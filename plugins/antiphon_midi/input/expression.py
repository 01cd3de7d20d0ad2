"""Values of single notes from MIDI ports: aftertouch, and what MPE says of a member channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from antiphon.api.backends.transports import NotePressure, When
from antiphon_midi.input.mpe import Expression
from antiphon_midi.input.voices import PortVoice
from antiphon_midi.messages import KEY_PRESSURE, PRESSURE, Short, bend_of


class LastValues:
    """The last value of each note until all messages that have come are handled: a flood of them is one command."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, type[Expression], int, int], Expression] = {}

    def touch(self, message: Short, port: str, voice: PortVoice, when: When) -> None:
        """Takes a pressure of a key or a channel, or a bend of a member channel."""
        channel, zones = message.channel, voice.zones
        member = zones.manager(channel) > 0
        match message.kind:
            case k if k == KEY_PRESSURE:
                channel = zones.played(channel, message.a) if member else channel
                self._put(port, [NotePressure(message.a, message.b / 127, channel, "", when)])
            case k if k == PRESSURE and member:
                self._put(port, zones.press(channel, message.a / 127, when))
            case k if k == PRESSURE:
                notes = sorted(note for on, note in voice.notes if on == channel)
                self._put(port, [NotePressure(note, message.a / 127, channel, "", when) for note in notes])
            case _:
                self._put(port, zones.bend(channel, bend_of(message.a, message.b), when))

    def shade(self, message: Short, port: str, voice: PortVoice, when: When) -> None:
        """Sets the timbre of a member channel, by controller 74."""
        self._put(port, voice.zones.shade(message.channel, message.b / 127, when))

    def take(self, voices: Mapping[str, PortVoice]) -> Iterator[tuple[Expression, str]]:
        """Gives each value with its port, and forgets them. A note that has ended has none: it would be the next's."""
        for (port, _, channel, note), value in self._waiting.items():
            if port in voices and (channel, note) in voices[port].notes:
                yield value, port
        self._waiting.clear()

    def _put(self, port: str, values: Iterable[Expression]) -> None:
        for value in values:
            self._waiting[port, type(value), value.channel, value.note] = value
