"""Tolerant parser of MIDI files: skips and names invalid parts, and keeps the notes.

It returns mido's messages, like mido's own reader, which refuses a file for one invalid event and drops the time of an
unknown one.
"""

import importlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from antiphon.files.scores.midi_sysex import DRUMS, apply_sysex
from antiphon.kernel.runtime.notices import notice

_TEXTS = {1: "text", 2: "copyright", 3: "track_name", 4: "instrument_name", 5: "lyrics", 6: "marker", 7: "cue_marker",
          9: "device_name"}  # fmt: skip
"""Meta event types with text."""
_TEMPO, _END = 0x51, 0x2F
_META = {0x00: "sequence number", 0x20: "channel prefix", 0x21: "port", _TEMPO: "tempo",
         0x54: "SMPTE offset", 0x58: "time signature", 0x59: "key signature"}  # fmt: skip
_CHANNEL: dict[int, tuple[str, ...]] = {
    0x80: ("note_off", "note", "velocity"), 0x90: ("note_on", "note", "velocity"), 0xA0: ("polytouch", "note", "value"),
    0xB0: ("control_change", "control", "value"), 0xC0: ("program_change", "program"), 0xD0: ("aftertouch", "value"),
    0xE0: ("pitchwheel", "pitch"),
}  # fmt: skip
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Numbers of data bytes of system messages that are invalid in a file."""
_MACBINARY = 128
_FILM = {29: 30000 / 1001}
"""Film frame rates for the numbers in a header; any other number is the rate itself."""
_JAPANESE = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]|[\x88-\x90\x98-\x9f][\x80-\xfc]")
"""Matches kana or kanji in Shift-JIS whose first byte is not a letter in Latin-1."""


class TruncatedMidiError(ValueError):
    """Error of a file that ends within a track."""


class Parsed(NamedTuple):
    """A parsed MIDI file, with its melody."""

    type: int  # 0, 1 or 2
    ticks: int  # of a beat, 0 where the header gives none
    tracks: list[list[Any]]  # lists of mido's messages
    charset: str  # of all texts


def find_midi_start(content: bytes) -> int:
    """Offset of the MIDI data, also in RIFF and MacBinary; -1 if the file is not a MIDI file."""
    if content[:4] == b"RIFF" and content[8:12] == b"RMID":
        return content.find(b"MThd", 12)
    return next((place for place in (0, _MACBINARY) if content[place : place + 4] == b"MThd"), -1)


def parse(content: bytes) -> Parsed:
    """Reads a file from its `MThd` on, within `reading_file`. Raises TruncatedMidiError: it ends within a track."""
    size = int.from_bytes(content[4:8], "big")
    if len(content) < 14 or size < 6:
        raise TruncatedMidiError
    kind, promised, ticks = (int.from_bytes(content[at : at + 2], "big") for at in (8, 10, 12))
    tracks = _tracks(content, 8 + size)
    if promised and not tracks:
        raise TruncatedMidiError
    if promised != len(tracks):
        notice("a wrong number of tracks", 0, f"{promised}, and there are {len(tracks)}", "mended")
    charset = _decode([message for track in tracks for message in track if message.type in _TEXTS.values()])
    _part_ports(tracks)
    apply_sysex(tracks)
    if ticks >= 1 << 15:
        ticks = _convert_film_time(256 - (ticks >> 8), ticks & 255, tracks)
    return Parsed(kind, ticks, tracks, charset)


def _convert_film_time(frames: int, each: int, tracks: list[list[Any]]) -> int:
    """Converts film time, in `each` parts of a frame, to beats of constant tempo; returns the ticks per beat.

    A beat is half a second of `frames`, or a second if half is no whole number of ticks. Sets all tempi.
    """
    mido = importlib.import_module("mido")
    beats = 1 if frames * each % 2 else 2
    rate = _FILM.get(frames, frames)
    frames = round(rate)
    tempo = round(1e6 * frames / rate / beats)
    for message in (message for track in tracks for message in track if message.type == "set_tempo"):
        vars(message)["tempo"] = tempo
    if tracks:
        tracks[0].insert(0, mido.MetaMessage("set_tempo", tempo=tempo))
    return frames * each // beats


def _tracks(content: bytes, at: int) -> list[list[Any]]:
    tracks: list[list[Any]] = []
    while at < len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "big")
        if name == b"MTrk":
            if at + 8 > len(content):
                raise TruncatedMidiError
            reader = _Track(content, at + 8, at + 8 + size)
            tracks.append(reader.messages)
            at = reader.at
        elif _is_chunk(content, at):
            notice("chunk", place=name.decode("ascii").strip(), manner="unknown")
            at += 8 + size
        else:
            at = content.find(b"MTrk", at)  # bytes between tracks, or behind the last
            if at < 0:
                break
            notice("bytes between tracks", 0)
    return tracks


def _is_chunk(content: bytes, at: int) -> bool:
    """Whether the file ends or another chunk begins at an offset."""
    name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "big")
    if name in (b"", b"MTrk"):
        return True
    return name.isascii() and name.decode("ascii").isprintable() and 8 + size <= len(content) - at >= 8


class _Track:
    """Event reader of a track, tolerant of a wrong size.

    `messages`: in mido's form. `at`: offset of the next chunk.

    A track ends at its size, or at its end event if a chunk or nothing follows.
    """

    def __init__(self, content: bytes, at: int, end: int) -> None:
        self._content, self._mido = content, importlib.import_module("mido")
        self.at = at
        self.messages: list[Any] = []
        self._limit = len(content)
        self._passed, self._status, self._ended = 0, 0, False
        kept = -1
        try:
            while not self._over(end):
                if kept < 0 and (self._ended or self.at == end <= len(content)):
                    # what follows may be no events: it is read up to the next track, and left out where it is none
                    kept, back, ahead = len(self.messages), self.at, content.find(b"MTrk", self.at)
                    self._limit = ahead if ahead >= 0 else len(content)
                self._event()
        except IndexError:
            if kept < 0:
                raise TruncatedMidiError from None
            del self.messages[kept:]
            self.at = back
        if self.at < end > len(content) and not self._ended:
            raise TruncatedMidiError
        if self.at != end:
            notice("a track of another size than it says", 0, manner="mended")

    def _over(self, end: int) -> bool:
        if self._ended and self.at >= end:
            return True
        return (self._ended or self.at >= min(end, len(self._content))) and _is_chunk(self._content, self.at)

    def _read_byte(self) -> int:
        if self.at >= self._limit:
            raise IndexError
        self.at += 1
        return self._content[self.at - 1]

    def _number(self) -> int:
        """Reads a variable-length number of at most 8 bytes; the format allows 4."""
        number = 0
        for _ in range(8):
            byte = self._read_byte()
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number
        raise IndexError

    def _data(self) -> bytes:
        size = self._number()
        self.at += size
        if self.at > self._limit:
            raise IndexError
        return self._content[self.at - size : self.at]

    def _event(self) -> None:
        self._passed += self._number()
        first = self._read_byte()
        if first < 0x80:
            if not self._status:
                notice("data without a message", 0)
                return
            self.at -= 1  # running status, which neither meta events nor SysEx end
        elif first < 0xF0:
            self._status = first
        if first < 0xF0:
            self._channel(self._status)
        elif first == 0xFF:
            kind = self._read_byte()
            last = kind == _END and self.at == len(self._content)  # its length, 0, is missing
            self._meta(kind, b"" if last else self._data())
        elif first in (0xF0, 0xF7):
            data = self._data().removeprefix(b"\xf0").removesuffix(b"\xf7")
            self._put(self._mido.Message("sysex", skip_checks=True, data=[min(byte, 127) for byte in data]))
        else:
            self.at += _SYSTEM_LENGTHS.get(first, 0)
            notice("misplaced message")

    def _channel(self, status: int) -> None:
        kind, *names = _CHANNEL[status & 0xF0]
        if kind == "pitchwheel":
            values = {"pitch": min(self._read_byte(), 127) + (min(self._read_byte(), 127) << 7) - 8192}
        else:
            values = {name: min(self._read_byte(), 127) for name in names}
        self._put(self._mido.Message(kind, skip_checks=True, channel=status & 0x0F, **values))

    def _meta(self, kind: int, data: bytes) -> None:
        mido = self._mido
        self._ended |= kind == _END
        if kind in _TEXTS:
            name = "name" if _TEXTS[kind].endswith("name") else "text"
            message = mido.MetaMessage(_TEXTS[kind], **{name: data.decode("latin-1")})
        else:
            try:
                if kind == _TEMPO and (len(data) != 3 or not any(data)):
                    raise ValueError
                message = mido.midifiles.meta.build_meta_message(kind, data)
            except (ValueError, LookupError, mido.KeySignatureError):
                notice(f"invalid {_META.get(kind, 'meta event')}")
                return
        self._put(message)

    def _put(self, message: Any) -> None:
        vars(message)["time"], self._passed = self._passed, 0
        self.messages.append(message)


def _decode(messages: Iterable[Any]) -> str:
    """Detects the encoding of messages' texts, and decodes them; returns the encoding's name."""
    texts = [(message, name, getattr(message, name)) for message in messages for name in ("name", "text")
             if hasattr(message, name)]  # fmt: skip
    raw = [text.encode("latin-1") for _, _, text in texts]
    for charset in ("utf-8", "cp932"):
        if charset == "cp932" and not any(map(_JAPANESE.search, raw)):
            continue
        try:
            decoded = [text.decode(charset) for text in raw]
            if [text.encode(charset) for text in decoded] != raw:
                continue
        except UnicodeError:
            continue
        for (message, name, _), text in zip(texts, decoded, strict=True):
            vars(message)[name] = text
        return charset
    return "latin-1"


def _part_ports(tracks: list[list[Any]]) -> None:
    """Moves instruments that share a channel on two ports to separate channels."""
    owners: dict[int, int] = {}
    parted: dict[tuple[int, int], list[Any]] = {}
    for track in tracks:
        port = 0
        for message in track:
            if message.type == "midi_port":
                port = message.port
            channel = vars(message).get("channel", DRUMS)
            if channel != DRUMS and not message.is_meta and owners.setdefault(channel, port) != port:
                parted.setdefault((port, channel), []).append(message)
    free = [channel for channel in range(16) if channel not in owners and channel != DRUMS]
    for messages in parted.values():
        if not free:
            notice("instruments that share a channel on two ports", 0)
            return
        channel = free.pop(0)
        for message in messages:
            vars(message)["channel"] = channel
