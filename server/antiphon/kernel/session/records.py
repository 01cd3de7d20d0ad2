"""Fixed-size records of frozen dataclasses: one table defines packing, checks and session-log lines.

Rings carry them between processes. Every record's last field is `when`. A packed record begins with its code and its
time; its fields follow. An optional field is packed as a float, which no field may set to NaN: NaN is None.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from antiphon.kernel.contract.event import Event
from antiphon.kernel.runtime.shortening import check_number
from antiphon.kernel.session.commands import NOW, Beat, Now, Play, Sample, When

SIZE = 64
"""Maximum bytes of a packed record."""
_HEAD = "<BB6xqdd"
"""Code, kind of time, sample, beat, quantum."""
_HEAD_ITEMS = 5
_AT_NOW, _AT_SAMPLE, _AT_BEAT = 0, 1, 2
_EXACT = 1 << 53
"""Largest integer exact in every JSON reader, also those that use doubles."""
_TYPES = {"?": bool, "d": float}
_SIZES = {"B": (1 << 8) - 1, "i": (1 << 31) - 1, "q": _EXACT}


class TimedRecord(Protocol):
    """A record: a frozen dataclass whose last field is its time."""

    @property
    def when(self) -> When: ...


R = TypeVar("R", bound=TimedRecord)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    `code`: as in `struct`: "B", "i" and "q" whole numbers, "d" a float, "?" a switch. `low`, `high`: its range, both
    included; None is the type's range. `optional`: whether it may be None. `of`: the attribute that holds it, such as
    "event.number", where that is not its name. `default`: its value in a log that leaves it out, where the record's
    class has none.
    """

    name: str
    code: str
    low: float | None = None
    high: float | None = None
    optional: bool = False
    logged: bool = True
    of: str = ""
    default: Any = ...

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        whole = _SIZES.get(self.code, 1)
        low = (0 if self.code in "B?" else -whole) if self.low is None else self.low
        return low, whole if self.high is None else self.high

    def check(self, value: Any) -> Any:
        """Checks a value. Raises ValueError: it is of the wrong type or out of range; the message has the range."""
        if value is None and self.optional:
            return None
        if self.code != "?":
            return check_number(value, self.name, *self.bounds, whole=self.code != "d", error=ValueError)
        if not isinstance(value, bool):
            raise ValueError(f"{self.name} takes true or false, not {str(value)[:40]}")
        return value


class RecordRow:
    """Row of the table of records: how one is packed, checked and logged.

    `least`: number of leading fields without a default.
    """

    def __init__(
        self,
        code: int,
        op: str,
        record: type,
        body: Sequence[Field] = (),
        *,
        address: str = "",
        live: bool = False,
        message: str = "",
        kind: str = "",
    ) -> None:
        """A row of the table.

        Args:
            code: the record's number, 1 to 255; it is never given to another.
            record: the frozen dataclass; its fields are those of `body`, in order, and `when`. Of a `Play` they are
                its node, and its event's number, value, channel and serial.
            address: its address in reports that it is late, "" where that is its node's.
            live: whether the log marks it as requested without a time.
            message: its address, where the message's arguments are its fields.
            kind: of a `Play`'s event.
        """
        self.code, self.op, self.record, self.address, self.live = code, op, record, address or message, live
        self.message, self.key = message, kind or record
        self.make: Callable[..., Any] = partial(_make_play, kind) if kind else record
        self.fields = tuple(body)
        self.names = tuple(field.name for field in self.fields)
        codes = "".join("d" if field.optional else field.code for field in self.fields)
        packer = struct.Struct(_HEAD + codes)
        self.pack_into, self.unpack_from, self.size = packer.pack_into, packer.unpack_from, packer.size
        self.optional = any(field.optional for field in self.fields)
        self.values = _make_getter(self.fields)
        self.packed_values = self._values_with_nan if self.optional else self.values
        self.defaults = {f.name: f.default for f in fields(record) if f.default is not MISSING}
        self.defaults |= {f.name: f.default for f in self.fields if f.default is not ...}
        self.least = sum(name not in self.defaults for name in self.names)

    def _values_with_nan(self, record: Any) -> tuple[Any, ...]:
        return tuple(math.nan if value is None else value for value in self.values(record))

    def replace_nan_fields(self, items: Sequence[Any]) -> list[Any]:
        """Converts unpacked `items` to values of the fields: NaN becomes None."""
        pairs = zip(self.fields, items, strict=True)
        return [None if math.isnan(item) else _TYPES.get(field.code, int)(item) for field, item in pairs]


def _make_play(kind: str, node: int, number: int, value: float, channel: int, serial: int, when: When) -> Play[int]:
    return Play(node, Event(kind, 0, number, value, channel, 0, False, serial), when)


def _key(record: TimedRecord) -> type | str:
    return record.event.kind if type(record) is Play else type(record)


def _make_getter(fields: Sequence[Field]) -> Callable[[Any], tuple[Any, ...]]:
    if not fields:
        return lambda _record: ()
    get = attrgetter(*(field.of or field.name for field in fields))
    return get if len(fields) > 1 else lambda record: (get(record),)


class RecordTable(Generic[R]):
    """Table of all record types. Packing and unpacking allocate only the record: they run in the block's callback."""

    def __init__(self, rows: Iterable[RecordRow]) -> None:
        self.rows = tuple(rows)
        self._by_key = {row.key: row for row in self.rows}
        self._by_code = {row.code: row for row in self.rows}
        self._by_op = {row.op: row for row in self.rows}

    def row(self, key: type | str) -> RecordRow:
        """The row of a record's type, or of a `Play` of that kind; `KeyError` where the table has none."""
        return self._by_key[key]

    @property
    def messages(self) -> tuple[str, ...]:
        """Addresses of messages whose arguments are a record's fields."""
        return tuple(row.message for row in self.rows if row.message)

    def of_message(self, address: str) -> RecordRow | None:
        """Row whose fields are the arguments of a message to that address, or None."""
        return next((row for row in self.rows if address and row.message == address), None)

    def check(self, record: R) -> None:
        """Raises `ValueError` with the range for a field out of range."""
        row = self._by_key[_key(record)]
        for field, value in zip(row.fields, row.values(record), strict=True):
            field.check(value)

    def code(self, record: R) -> int:
        """Code of a record's type."""
        return self._by_key[_key(record)].code

    def address(self, code: int) -> str:
        """OSC address of the record type of that code; "" for a node's record and for an unknown code."""
        row = self._by_code.get(code)
        return "" if row is None else row.address

    def pack_into(self, buffer: Any, place: int, record: R) -> None:
        """Writes a record, of at most `SIZE` bytes, to `place` in a writable buffer."""
        row, when = self._by_key[_key(record)], record.when
        if type(when) is Now:
            row.pack_into(buffer, place, row.code, _AT_NOW, 0, 0.0, 0.0, *row.packed_values(record))
        elif type(when) is Sample:
            row.pack_into(buffer, place, row.code, _AT_SAMPLE, when.n, 0.0, 0.0, *row.packed_values(record))
        elif type(when) is Beat:
            row.pack_into(buffer, place, row.code, _AT_BEAT, 0, when.b, when.quantum, *row.packed_values(record))

    def unpack_from(self, buffer: Any, place: int = 0) -> R:
        """Reads the record at `place`; `KeyError` where there is none."""
        row = self._by_code[buffer[place]]
        items = row.unpack_from(buffer, place)
        kind = items[1]
        when: When = NOW
        if kind == _AT_SAMPLE:
            when = Sample(items[2])
        elif kind == _AT_BEAT:
            when = Beat(items[3], items[4])
        if row.optional:
            return row.make(*row.replace_nan_fields(items[_HEAD_ITEMS:]), when)  # type: ignore[no-any-return]
        return row.make(*items[_HEAD_ITEMS:], when)  # type: ignore[no-any-return]

    def to_line(self, sample: int, record: R) -> dict[str, Any]:
        """Session-log line of a record that took effect at frame `sample`; fields at their defaults are left out."""
        row = self._by_key[_key(record)]
        line: dict[str, Any] = {"sample": sample, "op": row.op}
        for field, value in zip(row.fields, row.values(record), strict=True):
            if field.logged and value != row.defaults.get(field.name, MISSING):
                line[field.name] = value
        if row.live and type(record.when) is Now:
            line["live"] = True
        return line

    def from_line(self, line: Mapping[str, Any]) -> R:
        """Record of a session-log line, with the line's sample as its time, or `Now` if it was live.

        Raises KeyError: a field without a default is missing. Raises ValueError: there is no such record, or a field
        has an invalid value.
        """
        row = self._by_op.get(str(line["op"]))
        if row is None:
            raise ValueError(f"there is no op {str(line['op'])[:40]!r}")
        values = []
        for field in row.fields:
            name = field.name
            here = line[name] if name not in row.defaults else line.get(name, row.defaults[name])
            values.append(field.check(here) if field.logged else row.defaults[name])
        live = row.live and line.get("live") is True
        return row.make(*values, NOW if live else Sample(line["sample"]))  # type: ignore[no-any-return]


class RingWords(NamedTuple):
    """Indices of a ring's words: counts of records written, read, and dropped because the ring was full."""

    write: int
    read: int
    dropped: int


class RecordCodec(NamedTuple, Generic[T]):
    """Packs and unpacks a ring's records."""

    pack_into: Callable[[memoryview, int, T], None]  # writes a record into a buffer at a byte offset
    unpack_from: Callable[[memoryview, int], T]  # reads a record from a buffer at a byte offset
    size: int  # bytes of a record


class RecordRing(Generic[T]):
    """A bounded ring of fixed-size records between one writer and one reader."""

    # Goal: two processes exchange records without a lock, so that neither can block the other, even by dying.
    # Plan: both counts only grow. The writer alone sets `write`, after the record is complete; the reader alone sets
    # `read`, after it has unpacked it. Their difference is what the ring holds,
    # their remainder by the capacity a place.
    # Warning: publishing is the last statement of `push`, or of a batch. A count that is set before its record is in
    # place lets the reader unpack half a record. A word is aligned and eight bytes, so a store of it is never seen
    # half done.

    def __init__(
        self, header: memoryview, data: memoryview, capacity: int, words: RingWords, codec: RecordCodec[T]
    ) -> None:
        """A ring of `capacity` records in `data`; `words`: indices of its counts in the 64-bit words of `header`."""
        self._words, self._data, self._capacity = header, data, capacity
        self._write, self._read, self._dropped = words
        self._pack, self._unpack, self._size = codec
        self._batch, self._batching = 0, False  # records that are in place and not yet published

    def push(self, record: T) -> bool:
        """Appends a record. Returns False, and counts it, when the ring is full."""
        words = self._words
        at = words[self._write] + self._batch
        if at - words[self._read] >= self._capacity:
            words[self._dropped] += 1
            return False
        self._pack(self._data, (at % self._capacity) * self._size, record)
        if self._batching:
            self._batch += 1
        else:
            words[self._write] = at + 1
        return True

    def begin_batch(self) -> None:
        """Begins a batch: its records are published all at once by `end_batch`."""
        self._batching = True

    def end_batch(self) -> None:
        """Publishes the records of the batch."""
        self._words[self._write] += self._batch
        self._batch, self._batching = 0, False

    @property
    def full(self) -> bool:
        """True if the next `push` would fail."""
        words = self._words
        return words[self._write] + self._batch - words[self._read] >= self._capacity

    def drain(self, most: int) -> Iterator[T]:
        """Removes and yields at most `most` records, oldest first."""
        words, data, capacity, size = self._words, self._data, self._capacity, self._size
        at = words[self._read]
        end = min(words[self._write], at + most)
        while at < end:
            yield self._unpack(data, (at % capacity) * size)
            at += 1
            words[self._read] = at
