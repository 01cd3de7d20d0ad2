r"""OSC packets: `decode` accepts any bytes, `encode` has the types that replies need.

`encode` takes any text: bytes that are not UTF-8 (in a file's name from an old archive) are sent as `\udce4`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from antiphon.kernel.errors import WireError
from antiphon.kernel.runtime.shortening import escape_unprintable

MAX_DATAGRAM = 65507
MAX_NESTING = 16
MAX_ARGS = 4096
MAX_ELEMENTS = 8192
"""Maximum messages and bundles in one packet; a full datagram cannot hold more, a TCP frame could."""
BUNDLE = b"#bundle\0"
IMMEDIATELY = 1
"""Time tag of a bundle for immediate execution."""


class Impulse(Enum):
    """The type of OSC's `I`, an argument without a value."""

    IMPULSE = "I"


IMPULSE: Final = Impulse.IMPULSE
"""OSC's `I`, an argument without a value."""


class Double(float):
    """A float that `encode` writes as `d`. Put doubles last: Pure Data cannot read the arguments after one."""

    __slots__ = ()


class Long(int):
    """An int that `encode` writes as `h`, whatever its size."""

    __slots__ = ()


Arg: TypeAlias = "int | float | str | bytes | bool | Impulse | tuple[Arg, ...] | None"
"""`int` (i h t r), `float` (f d), `str` (s S c a), `bytes` (b m), `bool` (T F), None (N), `IMPULSE` (I), tuple (array).
"""


class Message(NamedTuple):
    """An OSC message: its address as on the wire, its type tags with their comma, its arguments."""

    address: bytes
    tags: bytes
    args: tuple[Arg, ...]


class Bundle(NamedTuple):
    """An OSC bundle.

    `timetag`: 64-bit NTP; 0 and 1 are for now. `items`: messages, bundles, and a `WireError` for each message that
    cannot be read.
    """

    timetag: int
    items: tuple[Packet, ...]


Packet: TypeAlias = "Message | Bundle | WireError"
"""A result of `decode`: a message, a bundle, or an error in place of one."""

_NUMBERS = {"i": "i", "f": "f", "d": "d", "h": "q"}
_MAX_PLANS = 1024
_INT, _FLOAT, _DOUBLE, _LONG, _STAMP = (struct.Struct(">" + c) for c in "ifdqQ")
_UINT = struct.Struct(">I")
_plans: dict[bytes, struct.Struct] = {b",": struct.Struct(">"), b",f": _FLOAT, b",i": _INT}
_new = tuple.__new__


def decode(data: bytes) -> Packet:
    """Decodes a datagram or frame to a message or bundle; returns a `WireError` if it is neither, raises nothing."""
    # Most messages carry numbers only: their arguments are one unpack, found by their type tags.
    end = data.find(b"\0")
    at = (end + 4) & -4
    tags_end = data.find(b"\0", at)
    tags = data[at:tags_end]
    plan = _plans.get(tags)
    if plan is not None:
        start = (tags_end + 4) & -4
        if start + plan.size == len(data) and tags_end > end and data[:1] == b"/":
            return _new(Message, (data[:end], tags, plan.unpack_from(data, start)))
    try:
        return _packet(data, 0, [0])
    except WireError as error:
        return error


def messages_of(packet: Packet) -> Iterator[Message]:
    """Yields the messages of a packet; malformed ones are left out."""
    if isinstance(packet, Message):
        yield packet
    elif isinstance(packet, Bundle):
        for item in packet.items:
            yield from messages_of(item)


def address_text(address: bytes) -> str:
    """An address as printable text, for display and for `/fail`: at most 200 characters."""
    return escape_unprintable(address[:200].decode("utf-8", "backslashreplace"))[:200]


def _packet(data: bytes, depth: int, count: list[int]) -> Packet:
    if not data:
        raise WireError("the packet is empty")
    if len(data) % 4:
        raise WireError(f"an OSC packet is a multiple of 4 bytes long, this one is {len(data)}", _readable(data))
    if data[:8] == BUNDLE:
        return _decode_bundle(data, depth, count)
    return _message(data)


def _decode_bundle(data: bytes, depth: int, count: list[int]) -> Bundle:
    if depth >= MAX_NESTING:
        raise WireError(f"bundles nest at most {MAX_NESTING} deep")
    if len(data) < 16:
        raise WireError("the bundle ends within its time tag")
    (timetag,) = _STAMP.unpack_from(data, 8)
    spans = []
    at, size = 16, len(data)
    while at < size:
        (length,) = _UINT.unpack_from(data, at)
        at += 4
        if length > size - at or length % 4:
            raise WireError(f"a bundle element says {length} bytes where {size - at} are left")
        count[0] += 1
        if count[0] > MAX_ELEMENTS:
            raise WireError(f"a packet holds at most {MAX_ELEMENTS} messages")
        spans.append((at, at + length))
        at += length
    items: list[Packet] = []
    for first, last in spans:
        try:
            items.append(_packet(data[first:last], depth + 1, count))
        except WireError as error:
            items.append(error)
    return Bundle(timetag, tuple(items))


def _readable(data: bytes) -> str:
    if data[:1] != b"/":
        return ""
    end = data.find(b"\0")
    return address_text(data[:end] if end > 0 else data)


def _message(data: bytes) -> Message:
    end = data.find(b"\0")
    if end < 0:
        raise WireError("the address does not end: no NUL", _readable(data))
    address = data[:end]
    if address[:1] != b"/":
        if not address:
            raise WireError("an OSC address begins with /; addresses that are numbers are scsynth's own")
        raise WireError("an OSC address begins with /", address_text(address))
    at = (end + 4) & -4
    if at == len(data):
        return Message(address, b",", ())
    if data[at] != 0x2C:
        raise WireError("the arguments have no type tags; send a type tag string such as ,f", address_text(address))
    tags_end = data.find(b"\0", at)
    if tags_end < 0:
        raise WireError("the type tags do not end: no NUL", address_text(address))
    tags = data[at:tags_end]
    if len(tags) - 1 > MAX_ARGS:
        raise WireError(f"a message carries at most {MAX_ARGS} arguments", address_text(address))
    reader = _Reader(data, (tags_end + 4) & -4, address_text(address))
    args = reader.read(tags)
    if len(tags) <= 64 and len(_plans) < _MAX_PLANS and all(chr(c) in _NUMBERS for c in tags[1:]):
        _plans[tags] = struct.Struct(">" + "".join(_NUMBERS[chr(c)] for c in tags[1:]))
    return Message(address, tags, args)


class _Reader:
    """Reads the arguments of one message; raises `WireError` with its address."""

    def __init__(self, data: bytes, at: int, address: str) -> None:
        self.data, self.at, self.address = data, at, address

    def read(self, tags: bytes) -> tuple[Arg, ...]:
        stack: list[list[Arg]] = [[]]
        for code in tags[1:]:
            tag = chr(code)
            if tag == "[":
                if len(stack) > MAX_NESTING:
                    raise self.error(f"arrays nest at most {MAX_NESTING} deep")
                stack.append([])
            elif tag == "]":
                if len(stack) == 1:
                    raise self.error("an array ends that did not begin")
                inner = tuple(stack.pop())
                stack[-1].append(inner)
            else:
                stack[-1].append(self.one(tag))
        if len(stack) > 1:
            raise self.error("an array does not end")
        if self.at != len(self.data):
            raise self.error(f"{len(self.data) - self.at} bytes are left over behind the arguments")
        return tuple(stack[0])

    def one(self, tag: str) -> Arg:
        match tag:
            case "i":
                return int(self.number(_INT))
            case "f":
                return self.number(_FLOAT)
            case "s" | "S":
                return self.text()
            case "T":
                return True
            case "F":
                return False
            case "N":
                return None
            case "I":
                return IMPULSE
            case "d":
                return self.number(_DOUBLE)
            case "h":
                return int(self.number(_LONG))
            case "b":
                return self.blob()
            case "t":
                return int(self.number(_STAMP))
            case "r":
                return int(self.number(_UINT))
            case "c":
                return self.character()
            case "m":
                return self.take(4)
            case "a":
                return "a"
        raise self.error(f"type tag {tag!r} is not known; known are i f s b d h t c r m S T F N I [ ]")

    def number(self, kind: struct.Struct) -> float:
        if self.at + kind.size > len(self.data):
            raise self.error("the arguments end too soon")
        value: float = kind.unpack_from(self.data, self.at)[0]
        self.at += kind.size
        return value

    def take(self, size: int) -> bytes:
        padded = (size + 3) & -4
        if self.at + padded > len(self.data):
            raise self.error("the arguments end too soon")
        value = self.data[self.at : self.at + size]
        self.at += padded
        return value

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.error("a string does not end: no NUL")
        raw = self.data[self.at : end]
        self.at = (end + 4) & -4
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.error("a string is not UTF-8") from None

    def blob(self) -> bytes:
        return self.take(int(self.number(_UINT)))

    def character(self) -> str:
        code = int(self.number(_UINT))
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:  # a lone surrogate is not a character and has no UTF-8 form
            raise self.error(f"{code} is not a character")
        return chr(code)

    def error(self, reason: str) -> WireError:
        return WireError(reason, self.address)


def encode(address: str | bytes, *args: Arg) -> bytes:
    """Encodes a message. int is sent as i, or h where it is too large, float as f, `Double` as d, str as s, bytes as b.

    Raises TypeError: an argument has no form in OSC.
    """
    tags: list[str] = [","]
    _append_inferred_tags(args, tags)
    return encode_tagged(address, "".join(tags).encode(), args)


def encode_tagged(address: str | bytes, tags: bytes, args: tuple[Arg, ...]) -> bytes:
    """Encodes a message with these type tags; `tags` (with its comma) must fit `args`, as `decode` returns both."""
    parts = [_padded(_bytes(address) if isinstance(address, str) else address), _padded(tags)]
    stack = [iter(args)]
    for code in tags[1:]:
        tag = chr(code)
        if tag == "]":
            stack.pop()
            continue
        value = next(stack[-1])
        if tag == "[":
            assert isinstance(value, tuple)
            stack.append(iter(value))
        else:
            parts.append(_written(tag, value))
    return b"".join(parts)


def encode_bundle(timetag: int, packets: list[bytes]) -> bytes:
    """Encodes a bundle. `timetag`: 64-bit NTP."""
    parts = [BUNDLE, _STAMP.pack(timetag)]
    for packet in packets:
        parts.append(_UINT.pack(len(packet)))
        parts.append(packet)
    return b"".join(parts)


def _append_inferred_tags(args: tuple[Arg, ...], tags: list[str]) -> None:
    for value in args:
        if isinstance(value, tuple):
            tags.append("[")
            _append_inferred_tags(value, tags)
            tags.append("]")
        else:
            tags.append(_tag_of_value(value))


def _tag_of_value(value: Arg) -> str:
    match value:
        case None:
            return "N"
        case bool():
            return "T" if value else "F"
        case Impulse():
            return "I"
        case Long():
            return "h"
        case int():
            return "i" if -(2**31) <= value < 2**31 else "h"
        case Double():
            return "d"
        case float():
            return "f"
        case str():
            return "s"
        case bytes():
            return "b"
    raise TypeError(f"OSC has no form for {value!r}")


def _written(tag: str, value: Arg) -> bytes:
    match value:
        case bool() | None | Impulse() | tuple():
            return b""
        case str():
            if tag == "a":
                return b""
            return _UINT.pack(ord(value)) if tag == "c" else _padded(_bytes(value.replace("\0", "")))
        case bytes():
            return value if tag == "m" else _UINT.pack(len(value)) + value + bytes(-len(value) % 4)
    kind = {"i": _INT, "f": _FLOAT, "d": _DOUBLE, "h": _LONG, "t": _STAMP, "r": _UINT}[tag]
    try:
        return kind.pack(value)
    except OverflowError:
        # a double beyond float's range becomes infinity, as in sclang
        return kind.pack(float("inf") if value > 0 else float("-inf"))
    except struct.error:
        if kind is not _LONG:
            raise
        return kind.pack(2**63 - 1 if value > 0 else -(2**63))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _padded(raw: bytes) -> bytes:
    return raw + bytes(4 - len(raw) % 4)
