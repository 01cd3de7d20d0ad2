"""SysEx of General MIDI, GS and XG in a MIDI file, replaced by messages of channels that every synth obeys.

After `apply_sysex` one rule tells rhythm parts, that of bank select; volumes, pans and tunings are controllers. The
messages are those of "GS Format Specification" (Roland), "XG Specifications" (Yamaha), "General MIDI 2" and "MIDI
Tuning" (MMA). A tuning of the octave stays, in the form of MIDI Tuning; others are noticed.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from antiphon.files.scores.midi_mix import ChannelMix
from antiphon.kernel.runtime.notices import notice

# ---- Rhythm parts of a MIDI file, by channel 10, bank select, or the SysEx of GS, XG and General MIDI 2.

DRUMS = 9
"""General MIDI's drum channel, counted from 0."""
BANK = 0
"""Controller that selects the bank, which decides the sounds of a channel."""
RHYTHM, MELODIC = (120, 126, 127), 121
"""Rhythm banks (of General MIDI 2, of XG's effects, of XG's kits), and the bank that makes channel 10 melodic."""
_OTHER = 0
"""Bank written in place of GS banks with melodic sounds whose numbers are among `RHYTHM`."""
_GS_PARTS = (9, *range(9), *range(10, 16))
"""Channel of each GS part, in order of address."""


def is_rhythm(bank: int, channel: int) -> bool:
    """Whether a bank select, 0 to 127, makes a channel, from 0, a rhythm part."""
    return bank != MELODIC if channel == DRUMS else bank in RHYTHM


def rhythm_channels(tracks: Sequence[Sequence[Any]]) -> frozenset[int]:
    """Channels, from 0, whose first note is a rhythm part's; channel 10 also without notes."""
    rhythm, first = {DRUMS}, dict[int, bool]()
    for message in (message for _, _, message in _messages_in_time_order(tracks)):
        if message.type == "note_on" and message.velocity:
            first.setdefault(message.channel, message.channel in rhythm)
        elif message.type == "control_change" and message.control == BANK:
            (rhythm.add if is_rhythm(message.value, message.channel) else rhythm.discard)(message.channel)
    return frozenset(channel for channel in range(16) if first.get(channel, channel == DRUMS))


def apply_sysex(tracks: Sequence[list[Any]]) -> None:
    """Inserts into the tracks, behind each SysEx, the messages that do what it says.

    A rhythm part gets a bank select and its program; the only one of a file swaps its channel with channel 10.
    """
    parts, added = _Parts(), list[tuple[int, Any, list[Any]]]()
    mix = ChannelMix({m.channel for track in tracks for m in track if m.type == "note_on" and m.velocity} - {DRUMS})
    for mix.at, track, message in _messages_in_time_order(tracks):
        if message.type == "sysex":
            data = tuple(message.data)
            banks, levels = parts.told(data), mix.messages_for(data)
            if banks is None and levels is None:
                notice("SysEx message", place=_name_of(data), manner="unknown")
            if new := [*(banks or ()), *(levels or ())]:
                added.append((track, message, new))
        elif message.type == "program_change":
            parts.programs[message.channel] = message.program
            mix.program(message)
        elif message.type == "control_change" and message.control == BANK:
            vars(message)["value"] = parts.bank(message.channel, message.value)
        elif message.type != "note_on":
            mix.control(message)
    behind = {id(message): new for _, message, new in added}
    for number in {track for track, _, _ in added}:
        tracks[number][:] = [one for message in tracks[number] for one in (message, *behind.get(id(message), ()))]
    played = [m for track in tracks for m in track if vars(m).get("channel") is not None]
    rhythm = rhythm_channels(tracks) & {m.channel for m in played if m.type == "note_on" and m.velocity}
    if len(rhythm) != 1 or DRUMS in rhythm:
        return
    (channel,) = rhythm
    if all(m.value in RHYTHM for m in played if m.is_cc(BANK) and m.channel == channel):
        places = {channel: DRUMS, DRUMS: channel}
        for message in played:
            vars(message)["channel"] = places.get(message.channel, message.channel)
        for _, message, _ in added:  # it names the channel that was
            vars(message)["data"] = type(message.data)()


def _messages_in_time_order(tracks: Sequence[Sequence[Any]]) -> Iterator[tuple[int, int, Any]]:
    """(tick, track, message) of all tracks, in order of time."""
    rows = []
    for number, track in enumerate(tracks):
        at = 0
        for message in track:
            at += message.time
            if message.type in ("sysex", "program_change", "control_change", "note_on", "pitchwheel"):
                rows.append((at, number, message))
    return iter(sorted(rows, key=lambda row: row[:2]))


class _Parts:
    """Tracks the instrument or drum kit of each channel from the messages so far."""

    def __init__(self) -> None:
        self._message = importlib.import_module("mido").Message
        self.programs = [0] * 16
        self._maker = ""
        self._set = dict[int, bool]()  # channels of which a SysEx said whether they are rhythm
        self._gs, self._xg = list(_GS_PARTS), list(range(16))

    def bank(self, channel: int, value: int) -> int:
        """Returns the bank to write in place of a bank in the file."""
        if channel in self._set:
            return self._bank(rhythm=self._set[channel])
        if self._maker == "XG" and channel == DRUMS and value not in RHYTHM:
            return MELODIC
        return _OTHER if self._maker == "GS" and channel != DRUMS and value in RHYTHM else value

    def told(self, data: tuple[int, ...]) -> list[Any] | None:
        """Messages to insert after a SysEx, which is given without its first and last byte; None for another."""
        match data:
            case (0x7E, _, 0x09, _):
                return self._reset("")
            case (0x41, _, 0x42, 0x12, 0x40 | 0x00, 0x00, 0x7F, *_):
                return self._reset("GS")
            case (0x43, device, 0x4C, 0x00, 0x00, 0x7E, *_) if device >> 4 == 1:
                return self._reset("XG")
            case (0x41, _, 0x42, 0x12, 0x40, part, what, value, *_) if part >> 4 == 1:
                if what in (0x02, 0x15):
                    return self._part("GS", self._gs, part & 15, "channel" if what == 0x02 else "rhythm", value)
            case (0x43, device, 0x4C, 0x08, part, what, value, *_) if device >> 4 == 1 and part < 16:
                if what in (0x04, 0x07):
                    return self._part("XG", self._xg, part, "channel" if what == 0x04 else "rhythm", value)
        return None

    def _part(self, maker: str, channels: list[int], part: int, what: str, value: int) -> list[Any]:
        if what == "channel":
            channels[part] = value if value < 16 else -1
        if what != "rhythm" or channels[part] < 0:
            return []
        self._maker = self._maker or maker
        self._set[channels[part]] = value > 0
        return self._stated(channels[part], rhythm=value > 0)

    def _reset(self, maker: str) -> list[Any]:
        self.programs = [0] * 16
        new = [message for channel in self._set for message in self._stated(channel, rhythm=channel == DRUMS)]
        self._maker, self._gs, self._xg = maker, list(_GS_PARTS), list(range(16))
        self._set.clear()
        return new

    def _bank(self, *, rhythm: bool) -> int:
        return (RHYTHM[-1] if self._maker == "XG" else RHYTHM[0]) if rhythm else MELODIC

    def _stated(self, channel: int, *, rhythm: bool) -> list[Any]:
        bank = self._message("control_change", channel=channel, control=BANK, value=self._bank(rhythm=rhythm))
        return [bank, self._message("program_change", channel=channel, program=self.programs[channel])]


_MAKERS = {0x7E: "universal", 0x7F: "universal", 0x41: "Roland", 0x42: "Korg", 0x43: "Yamaha", 0x7D: "for tests"}


def _name_of(data: tuple[int, ...]) -> str:
    """What a SysEx message says in bytes, as in tables: its maker, and its address behind device and model."""
    maker = data[0] if data else 0
    first = {0x41: 4, 0x43: 3, 0x7E: 2, 0x7F: 2}.get(maker, 1)
    name = _MAKERS.get(maker, f"maker {maker:02X}")
    return " ".join([name, *(f"{byte:02X}" for byte in data[first : first + 3])])


def octave_tuning(data: tuple[int, ...]) -> tuple[frozenset[int], tuple[float, ...]] | None:
    """Channels, 1 to 16, and semitones beside each pitch class from C of a tuning of the octave; None for another."""
    match data:
        case (0x7E | 0x7F, _, 0x08, 0x08, high, middle, low, *cents) if len(cents) == 12:
            tuned = tuple((value - 64) / 100.0 for value in cents)
        case (0x7E | 0x7F, _, 0x08, 0x09, high, middle, low, *cents) if len(cents) == 24:
            words = (first << 7 | second for first, second in zip(cents[::2], cents[1::2], strict=True))
            tuned = tuple((word - 8192) / 8192.0 for word in words)
        case _:
            return None
    mask = high << 14 | middle << 7 | low
    return frozenset(channel + 1 for channel in range(16) if mask >> channel & 1), tuned
