"""Volumes, pans and tunings that SysEx in a MIDI file says, as controllers of channels."""

import importlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

VOLUME, PAN, EXPRESSION = 7, 10, 11
_RESET = {VOLUME: 100, PAN: 64, EXPRESSION: 127, 1: 0, 64: 0, 91: 40, 93: 0}
"""Values of controllers after General MIDI is switched on."""
_FULL, _CENTRE = 127, 64
_RPN, _RPN_FINE, _DATA, _DATA_FINE = 101, 100, 6, 38
_FINE_TUNING, _COARSE_TUNING, _NONE = 1, 2, 127
_GS_PARTS = (9, *range(9), *range(10, 16))
"""Channel of each GS part, in order of address."""
_XG_NOTES = 0x41


class ChannelMix:
    """Follows the volumes, pans and tunings of a file, and returns the messages that SysEx stand for.

    A master volume scales the channels' volumes, and a balance moves their pans: the messages of the file that come
    after it are changed too.
    """

    def __init__(self, melodic: Collection[int]) -> None:
        """`melodic`: channels, from 0, with pitched notes, which alone are tuned."""
        self._message = importlib.import_module("mido").Message
        self._melodic = sorted(melodic)
        self._said = [dict[int, int]() for _ in range(16)]  # controllers of each channel
        self._when: dict[tuple[int, int | str], int] = {}  # ticks of controllers, "bend" and "program" by channel
        self.at = 0  # the present tick
        self._clear()

    def _clear(self) -> None:
        self._master, self._balance = _FULL, 0
        self._coarse, self._fine = [0] * 17, [0.0] * 17  # semitones and cents of channels, and last of all
        self._tuned = False
        self._scales = [[0] * 12 for _ in range(16)]

    def program(self, message: Any) -> None:
        """Follows a program change."""
        self._when[message.channel, "program"] = self.at

    def control(self, message: Any) -> None:
        """Follows a controller or a bend; a volume or a pan is changed in place."""
        if message.type == "pitchwheel":
            self._when[message.channel, "bend"] = self.at
            return
        self._when[message.channel, message.control] = self.at
        self._said[message.channel][message.control] = message.value
        vars(message)["value"] = self._value(message.channel, message.control)

    def messages_for(self, data: tuple[int, ...]) -> list[Any] | None:
        """Messages to insert after a SysEx, which is given without its first and last byte; None for another."""
        match data:
            case (0x7E, _, 0x09, _) | (0x41, _, 0x42, 0x12, 0x40 | 0x00, 0x00, 0x7F, *_):
                return list(self._reset())
            case (0x43, device, 0x4C, 0x00, 0x00, 0x7E, *_) if device >> 4 == 1:
                return list(self._reset())
            case (0x7F, _, 0x04, 0x01, _, value):
                return self._set_master(value)
            case (0x7F, _, 0x04, 0x02, _, value):
                return self._set_balance(value - _CENTRE)
            case (0x7F, _, 0x04, 0x03, low, high):
                return self._tune(16, fine=((high << 7 | low) - 8192) / 81.92)
            case (0x7F, _, 0x04, 0x04, _, value):
                return self._tune(16, coarse=value - _CENTRE)
            case (0x7E | 0x7F, _, 0x08, 0x08, _, _, _, *cents) if len(cents) == 12:
                return []
            case (0x7E | 0x7F, _, 0x08, 0x09, _, _, _, *cents) if len(cents) == 24:
                return []
            case (0x41, _, 0x42, 0x12, 0x40, 0x00, what, *values) if values:
                return self._tell_all({0x00: "tune", 0x04: "volume", 0x05: "shift", 0x06: "pan"}.get(what, ""), values)
            case (0x43, device, 0x4C, 0x00, 0x00, what, *values) if device >> 4 == 1 and values:
                return self._tell_all({0x00: "tune", 0x04: "volume", 0x06: "shift"}.get(what, ""), values)
            case (0x41, _, 0x42, 0x12, 0x40, part, what, *values) if part >> 4 == 1 and values:
                kind = {0x19: "volume", 0x1C: "pan", 0x16: "shift", 0x40: "scale"}.get(what, "")
                return self._tell(_GS_PARTS[part & 15], kind, values)
            case (0x43, device, 0x4C, 0x08, part, what, *values) if device >> 4 == 1 and part < 16 and values:
                if _XG_NOTES <= what < _XG_NOTES + 12:
                    self._scales[part][what - _XG_NOTES] = values[0] - _CENTRE
                    return [self._scale(part)]
                return self._tell(part, {0x0B: "volume", 0x0E: "pan", 0x08: "shift"}.get(what, ""), values)
        return None

    def _tell_all(self, kind: str, values: Sequence[int]) -> list[Any] | None:
        match kind:
            case "volume":
                return self._set_master(values[0])
            case "pan":
                return self._set_balance(values[0] - _CENTRE)
            case "shift":
                return self._tune(16, coarse=values[0] - _CENTRE)
            case "tune" if len(values) >= 4:
                tenths = sum((value & 15) << 4 * (3 - place) for place, value in enumerate(values[:4])) - 0x400
                return self._tune(16, fine=tenths / 10.0)
        return None

    def _tell(self, channel: int, kind: str, values: Sequence[int]) -> list[Any] | None:
        match kind:
            case "volume" | "pan":
                number = VOLUME if kind == "volume" else PAN
                self._said[channel][number], self._when[channel, number] = values[0], self.at
                return [self._control(channel, number)]
            case "shift":
                return self._tune(channel, coarse=values[0] - _CENTRE)
            case "scale" if len(values) >= 12:
                self._scales[channel] = [value - _CENTRE for value in values[:12]]
                return [self._scale(channel)]
        return None

    def _scale(self, channel: int) -> Any:
        """The tuning of a channel's octave as a message of MIDI Tuning."""
        mask = 1 << channel
        places = mask >> 14, mask >> 7 & 127, mask & 127
        data = (0x7F, 0x7F, 0x08, 0x08, *places, *(_CENTRE + cents for cents in self._scales[channel]))
        return self._message("sysex", data=data)

    def _set_master(self, value: int) -> list[Any]:
        self._master = value
        return [self._control(channel, VOLUME) for channel in range(16)]

    def _set_balance(self, by: int) -> list[Any]:
        self._balance = by
        return [self._control(channel, PAN) for channel in range(16)]

    def _value(self, channel: int, number: int) -> int:
        """Value of a controller as it is to be played."""
        said = self._said[channel].get(number, _RESET.get(number, 0))
        if number == VOLUME:
            return round(said * self._master / _FULL)
        return min(127, max(0, said + self._balance)) if number == PAN else said

    def _control(self, channel: int, number: int) -> Any:
        return self._message("control_change", channel=channel, control=number, value=self._value(channel, number))

    def _tune(self, place: int, coarse: int | None = None, fine: float | None = None) -> list[Any]:
        """Tunes a channel, or with 16 all of them."""
        self._tuned = True
        self._coarse[place] = self._coarse[place] if coarse is None else coarse
        self._fine[place] = self._fine[place] if fine is None else fine
        channels = self._melodic if place == 16 else [place] if place in self._melodic else []
        return [message for channel in channels for message in self._tuning(channel)]

    def _tuning(self, channel: int) -> Iterator[Any]:
        cents = 100.0 * (self._coarse[channel] + self._coarse[16]) + self._fine[channel] + self._fine[16]
        coarse = round(cents / 100.0)
        fine = min(16383, max(0, round(8192 + 81.92 * (cents - 100.0 * coarse))))
        rows = [(_RPN, 0), (_RPN_FINE, _COARSE_TUNING), (_DATA, min(127, max(0, _CENTRE + coarse)))]
        rows += [(_RPN_FINE, _FINE_TUNING), (_DATA, fine >> 7), (_DATA_FINE, fine & 127)]
        for number, value in (*rows, (_RPN, _NONE), (_RPN_FINE, _NONE)):
            yield self._message("control_change", channel=channel, control=number, value=value)

    def _reset(self) -> Iterator[Any]:
        """Messages that bring back what General MIDI begins with, of all that the file has changed before this tick."""
        tuned, levels = self._tuned, self._master != _FULL or self._balance
        scales = [channel for channel in range(16) if any(self._scales[channel])]
        self._clear()
        before = [key for key, tick in self._when.items() if tick < self.at]
        for key in before:
            del self._when[key]
        for channel in range(16):
            changed = {number for other, number in before if other == channel}
            for number in _RESET:
                if number in changed:
                    self._said[channel].pop(number, None)
                if number in changed or (levels and number in (VOLUME, PAN)):
                    yield self._control(channel, number)
            if "bend" in changed:
                yield self._message("pitchwheel", channel=channel, pitch=0)
            if "program" in changed:
                yield self._message("program_change", channel=channel, program=0)
        for channel in self._melodic if tuned else ():
            yield from self._tuning(channel)
        yield from map(self._scale, scales)
