"""Expression for backends: pitch, pressure and timbre stored for their note, and the bends of channels."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from struct import pack, unpack
from typing import Protocol, TypeVar

from antiphon.kernel.contract.event import Event
from antiphon.kernel.session import play
from antiphon.synths.note_words import NoteWord

_LOUDER = 1.0
"""Gain added at full pressure, a factor of 2 in all: 6 dB, a common response to aftertouch."""

DATA, DATA_FINE = 6, 38
NRPN_FINE, NRPN, RPN_FINE, RPN = 98, 99, 100, 101
"""Controllers that select a parameter, and the controllers of its value."""
BEND_RANGE, FINE_TUNING, COARSE_TUNING, LAST_RPN = 0, 1, 2, 6
"""Registered parameters: bend range, tuning in parts of a semitone and in semitones, and the last of MIDI 1.0."""
RESET = 121
MAX_BEND_RANGE = 96.0
"""Widest range of a bend in semitones."""
_NONE = 0x3FFF
_CHANNELS = 17


@dataclass(frozen=True, slots=True)
class NoteShape:
    """Expression values of one note.

    `pitch`: semitones from the note's own pitch. `pressure`: pressure on its key, 0 to 1. `timbre`: 0 to 1; 0.5 is the
    instrument's normal timbre.
    """

    pitch: float = 0.0
    pressure: float = 0.0
    timbre: float = 0.5


PLAIN = NoteShape()
"""Expression of a note that has no values."""


class NoteShapes:
    """Expression values received before their note began. At most one set for each note of each channel."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], NoteShape] = {}

    def put(self, kind: str, note: int, channel: int, value: float) -> None:
        """Stores a value for the next note of this number.

        `kind`: "pitch", "pressure" or "timbre". `note`: 0 to 127. `value`: as in `Event`.
        """
        key = (channel, note)
        self._waiting[key] = replace(self._waiting.get(key, PLAIN), **{kind: value})

    def take(self, note: int, channel: int) -> NoteShape:
        """Removes and returns the values of a note, 0 to 127, that begins; `PLAIN` if there are none."""
        return self._waiting.pop((channel, note), PLAIN)

    def clear(self) -> None:
        """Clears all values."""
        self._waiting.clear()


class NamedValues:
    """Values by name (`/node/NAME/play note 60 cutoff 800`) pending for the next note of each channel."""

    def __init__(self) -> None:
        self._pending: dict[int, dict[bytes | float, float]] = {}
        self._names = [NoteWord() for _ in range(_CHANNELS)]
        self._hashes = [0.0] * _CHANNELS
        self._high = [0] * _CHANNELS

    def take(self, event: Event) -> bool:
        """Processes a controller; False if it carries no value by name."""
        channel = event.channel
        match event.number:
            case play.BEGIN:
                self._pending[channel], self._names[channel].data = {}, None
            case play.FIRST_WORD:
                self._names[channel].take(event.number, event.value)
            case play.NAME:
                self._hashes[channel] = event.value
            case play.HIGH:
                self._high[channel] = round(event.value * 65536)
            case play.LOW:
                bits = (self._high[channel] << 16 | round(event.value * 65536)) & 0xFFFFFFFF
                values = self._pending.setdefault(channel, {})
                if len(values) < play.MAX_NAMED:
                    name = self._names[channel].data
                    values[self._hashes[channel] if name is None else name] = unpack(">f", pack(">I", bits))[0]
                self._names[channel].data = None
            case _:
                return False
        return True

    def take_named(self, channel: int, names: Iterable[str]) -> dict[str, float]:
        """Removes and returns the values of a note that begins; only those in `names`."""
        values = self._pending.pop(channel, {})
        known = dict(NoteWord.keys(names, named=True)) if values else {}
        return {known[key]: value for key, value in values.items() if key in known}


class _Controller(Protocol):
    """Value of a controller on a channel, played live or read from a score."""

    @property
    def channel(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def value(self) -> float: ...


_E = TypeVar("_E", bound=_Controller)


class ChannelBends:
    """Pitch bends in semitones of the channels 1 to 16, with their tuning.

    A channel's range is set by registered parameter 0 (controllers 101, 100, 6 and 38); the default is the node's. Its
    tuning is set by the parameters 1 and 2. `semitones`: by channel.
    """

    def __init__(self) -> None:
        self.semitones = [0.0] * _CHANNELS
        self._wheels = [0.0] * _CHANNELS
        self._reach = [-1.0] * _CHANNELS
        self._fine, self._coarse = [0.0] * _CHANNELS, [0.0] * _CHANNELS  # semitones
        self._selected = [_NONE] * _CHANNELS

    def reset(self) -> None:
        """Centres all bends and forgets the ranges and tunings."""
        for channel in range(_CHANNELS):
            self.semitones[channel] = self._wheels[channel] = 0.0
            self._fine[channel] = self._coarse[channel] = 0.0
            self._reach[channel], self._selected[channel] = -1.0, _NONE

    def states_pitch(self, event: Event) -> bool:
        """Whether a controller sets the value of a registered parameter that is followed here."""
        return event.number in (DATA, DATA_FINE) and self._selected[event.channel] <= COARSE_TUNING

    def follow(self, event: Event, reach: float) -> bool:
        """Processes a bend or a controller.

        `event`: of kind "bend" or "control". `reach`: the node's range in semitones. Returns whether the channel's bend
        has changed.
        """
        channel = event.channel
        if event.kind == "bend":
            self._wheels[channel] = min(max(event.value, -1.0), 1.0)
        elif event.kind != "control" or not self._control(event, reach):
            return False
        before, stated = self.semitones[channel], self._reach[channel]
        bent = self._wheels[channel] * (stated if stated >= 0.0 else reach)
        self.semitones[channel] = bent + self._fine[channel] + self._coarse[channel]
        return self.semitones[channel] != before

    @staticmethod
    def keep(state: dict[tuple[object, ...], _E], event: _E) -> None:
        """Stores the last event of each controller, and for each registered parameter its selection and value.

        Sent in the order of `state`, they restore a channel.
        """
        channel, number = event.channel, event.number
        if number in (NRPN, NRPN_FINE):
            for other in (RPN, RPN_FINE, DATA, DATA_FINE):  # a value is of the selection before
                state.pop((channel, other), None)
        chosen = [state[channel, select] for select in (RPN, RPN_FINE) if (channel, select) in state]
        parameter = [round(127.0 * one.value) for one in chosen]
        if number not in (DATA, DATA_FINE) or not chosen:
            state.pop((channel, number), None)  # it comes last, as it may end a selection
            state[channel, number] = event
            return
        if len(chosen) < 2 or parameter[0] or parameter[1] > LAST_RPN:
            return  # the value of no parameter
        values = {one: state.pop((channel, one, parameter[1]), None) for one in (RPN, RPN_FINE, DATA, DATA_FINE)}
        if number == DATA:
            values[DATA_FINE] = None  # the fine part is of the value before
        values.update({one.number: one for one in (*chosen, event)})
        state.update({(channel, one, parameter[1]): kept for one, kept in values.items() if kept is not None})
        for one in chosen:  # what is selected now comes last
            del state[channel, one.number]
            state[channel, one.number] = one

    def _control(self, event: Event, own: float) -> bool:
        channel, number, value = event.channel, event.number, round(127.0 * event.value)
        if self.states_pitch(event):
            if self._selected[channel] == COARSE_TUNING:
                self._coarse[channel] = value - 64.0 if number == DATA else self._coarse[channel]
            elif self._selected[channel] == FINE_TUNING:
                held = round((self._fine[channel] + 1.0) * 8192.0)
                held = value << 7 if number == DATA else held & ~0x7F | value
                self._fine[channel] = held / 8192.0 - 1.0
            else:
                before = own if self._reach[channel] < 0.0 else self._reach[channel]
                reach = float(value) if number == DATA else int(before) + min(value, 99) / 100.0
                self._reach[channel] = min(reach, MAX_BEND_RANGE)
            return True
        if number == RESET:
            self._wheels[channel], self._selected[channel] = 0.0, _NONE
            return True
        selected = self._selected[channel]
        if number == RPN:
            self._selected[channel] = value << 7 | selected & 0x7F
        elif number == RPN_FINE:
            self._selected[channel] = selected & ~0x7F | value
        elif number in (NRPN, NRPN_FINE):
            self._selected[channel] = _NONE
        return False


def pressure_gain(pressure: float) -> float:
    """Gain factor of a pressure. `pressure`: 0 to 1. Returns 1 to 2: up to 6 dB louder."""
    return 1.0 + _LOUDER * min(max(pressure, 0.0), 1.0)
