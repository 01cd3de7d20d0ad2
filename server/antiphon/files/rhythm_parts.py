"""Rhythm parts of a MIDI file, by channel 10, bank select, or the SysEx of GS, XG and General MIDI 2.

After `state_parts` one rule is left, that of bank select, which needs no SysEx. The messages are those of "GS Format
Specification" (Roland), "XG Specifications" (Yamaha) and "General MIDI 2" (MMA).
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

DRUMS = 9
"""General MIDI's channel of drums, from 0."""
BANK = 0
"""Controller that selects the bank, whose values say what a channel plays."""
RHYTHM, MELODIC = (120, 126, 127), 121
"""Banks of rhythm (of General MIDI 2, of XG's effects, of XG's kits), and the one that makes channel 10 melodic."""
_OTHER = 0
"""Bank written for GS banks whose numbers are those of `RHYTHM`, and which hold melodic sounds."""
_GS_PARTS = (9, *range(9), *range(10, 16))
"""Channel of each of GS's parts, in the order of their addresses."""


def is_rhythm(bank: int, channel: int) -> bool:
    """Whether a bank select, 0 to 127, makes a channel, from 0, a rhythm part."""
    return bank != MELODIC if channel == DRUMS else bank in RHYTHM


def rhythm_channels(tracks: Sequence[Sequence[Any]]) -> frozenset[int]:
    """Channels, from 0, whose first note is a rhythm part's; channel 10 also without notes."""
    rhythm, first = {DRUMS}, dict[int, bool]()
    for message in (message for _, _, message in _in_time(tracks)):
        if message.type == "note_on" and message.velocity:
            first.setdefault(message.channel, message.channel in rhythm)
        elif message.type == "control_change" and message.control == BANK:
            (rhythm.add if is_rhythm(message.value, message.channel) else rhythm.discard)(message.channel)
    return frozenset(channel for channel in range(16) if first.get(channel, channel == DRUMS))


def state_parts(tracks: Sequence[list[Any]]) -> None:
    """States by bank select, in the tracks themselves, which parts are rhythm.

    After a SysEx that changes a part, a bank select and the part's program are inserted. The only rhythm part of a file
    moves to channel 10, with whose part it changes places.
    """
    parts, added = _Parts(), list[tuple[int, Any, list[Any]]]()
    for _, track, message in _in_time(tracks):
        if message.type == "sysex":
            if new := parts.told(tuple(message.data)):
                added.append((track, message, new))
        elif message.type == "program_change":
            parts.programs[message.channel] = message.program
        elif message.type == "control_change" and message.control == BANK:
            vars(message)["value"] = parts.bank(message.channel, message.value)
    for track, message, new in added:
        at = next(n for n, other in enumerate(tracks[track]) if other is message)
        tracks[track][at + 1 : at + 1] = new
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


def _in_time(tracks: Sequence[Sequence[Any]]) -> Iterator[tuple[int, int, Any]]:
    """(tick, track, message) of all tracks, in order of time."""
    rows = []
    for number, track in enumerate(tracks):
        at = 0
        for message in track:
            at += message.time
            if message.type in ("sysex", "program_change", "control_change", "note_on"):
                rows.append((at, number, message))
    return iter(sorted(rows, key=lambda row: row[:2]))


class _Parts:
    """Instrument or drum kit of each channel, by the messages so far."""

    def __init__(self) -> None:
        self._message = importlib.import_module("mido").Message
        self.programs = [0] * 16
        self._maker = ""
        self._set = dict[int, bool]()  # channels of which a SysEx said whether they are rhythm
        self._gs, self._xg = list(_GS_PARTS), list(range(16))

    def bank(self, channel: int, value: int) -> int:
        """Bank to be selected instead of one in the file."""
        if channel in self._set:
            return self._bank(rhythm=self._set[channel])
        if self._maker == "XG" and channel == DRUMS and value not in RHYTHM:
            return MELODIC
        return _OTHER if self._maker == "GS" and channel != DRUMS and value in RHYTHM else value

    def told(self, data: tuple[int, ...]) -> list[Any]:
        """Messages to be inserted after a SysEx, without its first and last byte."""
        match data:
            case (0x7E, _, 0x09, _):
                return self._reset("")
            case (0x41, _, 0x42, 0x12, 0x40 | 0x00, 0x00, 0x7F, *_):
                return self._reset("GS")
            case (0x43, device, 0x4C, 0x00, 0x00, 0x7E, *_) if device >> 4 == 1:
                return self._reset("XG")
            case (0x41, _, 0x42, 0x12, 0x40, part, what, value, *_) if part >> 4 == 1:
                return self._part("GS", self._gs, part & 15, {0x02: "channel", 0x15: "rhythm"}.get(what, ""), value)
            case (0x43, device, 0x4C, 0x08, part, what, value, *_) if device >> 4 == 1 and part < 16:
                return self._part("XG", self._xg, part, {0x04: "channel", 0x07: "rhythm"}.get(what, ""), value)
        return []

    def _part(self, maker: str, channels: list[int], part: int, what: str, value: int) -> list[Any]:
        if what == "channel":
            channels[part] = value if value < 16 else -1
        if what != "rhythm" or channels[part] < 0:
            return []
        self._maker = self._maker or maker
        self._set[channels[part]] = value > 0
        return self._stated(channels[part], rhythm=value > 0)

    def _reset(self, maker: str) -> list[Any]:
        new = [message for channel in self._set for message in self._stated(channel, rhythm=channel == DRUMS)]
        self._maker, self._gs, self._xg = maker, list(_GS_PARTS), list(range(16))
        self._set.clear()
        return new

    def _bank(self, *, rhythm: bool) -> int:
        return (RHYTHM[-1] if self._maker == "XG" else RHYTHM[0]) if rhythm else MELODIC

    def _stated(self, channel: int, *, rhythm: bool) -> list[Any]:
        bank = self._message("control_change", channel=channel, control=BANK, value=self._bank(rhythm=rhythm))
        return [bank, self._message("program_change", channel=channel, program=self.programs[channel])]
