"""Memory shared by control, engine and recorder: one mapping, inherited from the supervisor.

Integers are aligned 64-bit words, each with one writer; data is written before the index that publishes it. x86-64
keeps that order; ARM does not guarantee it and is not tested.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, TypeAlias

from antiphon.kernel.runtime.platform import anonymous_file
from antiphon.kernel.session.actions import ACTIONS, Action
from antiphon.kernel.session.records import SIZE, RecordCodec, RecordRing, RingWords

ReportRecord: TypeAlias = tuple[int, int, float, float, int, float, int, int]
"""Fields of a report: kind, node and cell, two numbers, sample, unused, token, unused."""

REPORT = struct.Struct("<qqddqdqq")
COMMANDS = 65536
REPORTS = 8192
JOURNAL_BYTES = 8 << 20
_PLACES, _LENGTH_BITS = 2 * JOURNAL_BYTES, 39
"""Places in the journal that a word tells apart beside the length of a log, which has so many bits."""
LOADING_BYTES = 1024
METERS = 300
"""Meter rows: float32 (node number, peak, rms, load as a share of a block). Rows 0 and 1 are output and input; node
number 0 ends the list."""
DRIVERS = ("headless", "jack", "portaudio", "offline")
"""Names of the drivers; `HeaderWord.DRIVER` is the index in this tuple."""
OUTPUT, SESSION, TRACKS = 1, 2, 4
"""Flags of `HeaderWord.TAPPING`: the kinds of recording in progress."""


@unique
class HeaderWord(IntEnum):
    """Indices of the header's 64-bit words. The engine writes them unless another writer is named."""

    RATE = 0
    BLOCK = 1
    CHANNELS = 2
    ORIGIN_NS = 3  # CLOCK_MONOTONIC of sample 0; 0: not yet set
    ENGINE_PID = 4
    ENGINE_STATE = 5  # 0 none, 1 starting, 2 running, 3 ended
    HEARTBEAT = 6  # number of the block last begun
    AT_WORK = 7  # number of the node that is being run, 0: none
    CLOCK_SEQUENCE = 8  # odd while the clock words change
    CLOCK_SAMPLE = 9
    CLOCK_NS = 10
    CLOCK_NS_PER_SAMPLE = 11  # float64 bits
    BEAT = 12  # float64 bits
    TEMPO = 13  # float64 bits
    PLAYING = 14
    LATENCY_DRIVER = 15
    LATENCY_RING = 16
    LATENCY_GRAPH = 17
    LOAD_MEAN = 18  # float64 bits, share of a block
    LOAD_PEAK = 19  # float64 bits
    BLOCKS = 20
    MISSED_BLOCKS = 21
    LATE_BLOCKS = 22
    LATE = 23
    SCHEDULE_DROPPED = 24
    COMMANDS_DROPPED = 25  # written by control
    REPORTS_DROPPED = 26
    TAP_DROPPED = 27  # written by the recorder
    DEVICE_XRUNS = 28
    PENDING = 29
    NAN_BLOCKS = 30
    LIMITED_BLOCKS = 31
    COMMANDS_WRITE = 32
    COMMANDS_READ = 33
    REPORTS_WRITE = 34
    REPORTS_READ = 35
    JOURNAL_WRITE = 36
    JOURNAL_READ = 37
    TAP_WRITE = 38  # block after the last one written
    TAPPING = 39  # `OUTPUT`, `SESSION`, `TRACKS`; set by the recorder
    RESTARTS = 40
    DRIVER = 41
    JOURNAL_DROPPED = 42
    FRAME_BEGUN = 63  # JACK's number of the first frame of block 0, of which 32 bits are defined
    STRIPS = 44  # 1: strips are kept for the process that plays them; written by the supervisor
    POLICY = 43  # scheduling class of the engine: 0 ordinary, 1 FIFO
    ALIVE_NS = 45  # CLOCK_MONOTONIC when the engine's loop last turned
    FIRST_BLOCK = 46  # the first block of this server
    BLAMED = 47  # number of the node that hung or crashed the engine; the next engine bypasses it
    SESSIONS = 48  # sessions whose recording has begun; written by the recorder
    CLIPPED_BLOCKS = 50
    STALLS = 55  # times that the engine got no processor for STALL_SECONDS or longer
    LATEST_NS = 56  # how long after its time a block was delivered at the latest, stalls excepted
    STALLED_NS = 57  # duration of the last of STALLS
    WAKE_LATE_NS = 58  # how late a thread was woken at the worst, at the server's start; written by its probe
    LEADER = 59  # number of the node that steers the clock, 0: none
    BEGUN = 60  # first sample of this server's first plan, plus one; 0: none has played
    DEVICE_RATE = 61  # Hz, of the device; RATE is the server's
    DEVICE_BLOCK = 62  # frames that the device asks for at once
    FOUND_TEMPO = 64  # float64 bits, bpm as the node that last led found it, 0: set otherwise since
    ECHO = 49  # number of the node whose events are reported to control, -1: all nodes, 0: none; written by control
    LOGGED = 66  # place in the journal and length of the tracks' log, of one moment; written by the recorder
    RECORDED = 65  # block after the last one in the recording's file; written by the recorder
    SUPERVISOR_FAULTS = 52  # failed steps of the supervisor, with failed starts of a process; written by it
    BEAT_SEQUENCE = 53  # odd while BEAT_SAMPLE, BEAT, TEMPO and PLAYING change
    BEAT_SAMPLE = 54  # the sample at which the clock is at BEAT
    CONTROL_BEAT = 51  # CLOCK_MONOTONIC when control's loop last turned, 0: not since its start; written by control
    INTERPRETED_BLOCKS = 68  # blocks in which the interpreter took part; then those with each reason (`Touch`)
    INTERPRETED_ACTION = 69
    INTERPRETED_MOVING = 70
    INTERPRETED_EVENT = 71
    INTERPRETED_PYTHON = 72
    INTERPRETED_PLAN = 73
    INTERPRETED_OTHER = 74


WORDS = 80


@dataclass(frozen=True, slots=True)
class MappingShape:
    """Sizes that determine the mapping's layout."""

    rate: int  # Hz
    block: int  # frames of a block
    channels: int
    tap: int  # blocks of sound that the mapping holds for the recorder

    @staticmethod
    def of(rate: int, block: int, channels: int, seconds: float = 4.0) -> MappingShape:
        """Returns a shape whose tap holds `seconds` of sound, and 16 blocks at least."""
        return MappingShape(rate, block, channels, max(16, round(seconds * rate / block)))


class Shared:
    """The memory shared by control, engine and recorder, and its parts as memory views.

    `tap_tags`: number of the block in each slot of the tap, plus one, as int64; 0 while the slot changes.
    """

    def __init__(self, fd: int, shape: MappingShape) -> None:
        self.shape = shape
        self._sizes = [
            ("words", WORDS * 8),
            ("commands", COMMANDS * SIZE),
            ("reports", REPORTS * REPORT.size),
            ("meters", METERS * 16),
            ("loading", LOADING_BYTES),
            ("journal", JOURNAL_BYTES),
            ("tap_tags", shape.tap * 8),
            ("tap_out", shape.tap * shape.block * shape.channels * 4),
            ("tap_in", shape.tap * shape.block * shape.channels * 4),
        ]
        total = sum(size for _, size in self._sizes)
        self.fd = anonymous_file("antiphon", total) if fd < 0 else fd
        self.map = mmap.mmap(self.fd, total)
        whole = memoryview(self.map)
        self._parts: dict[str, memoryview] = {}
        self.offsets: dict[str, int] = {}  # byte offset of each part by name
        at = 0
        for name, size in self._sizes:
            self._parts[name] = whole[at : at + size]
            self.offsets[name] = at
            at += size
        self.words = self._parts["words"].cast("q")  # the header as int64, indexed by `HeaderWord`
        self.floats = self._parts["words"].cast("d")  # the header as float64
        self.meters = self._parts["meters"].cast("f")  # the meter rows as float32
        self.tap_tags = self._parts["tap_tags"].cast("q")

    def __reduce__(self) -> Any:
        return Shared, (self.fd, self.shape)  # the same mapping, in a process that has the descriptor

    @staticmethod
    def create(shape: MappingShape) -> Shared:
        """Creates a mapping with an inheritable descriptor."""
        shared = Shared(-1, shape)
        words = shared.words
        words[HeaderWord.RATE], words[HeaderWord.BLOCK] = shape.rate, shape.block
        words[HeaderWord.CHANNELS] = shape.channels
        return shared

    def address(self, word: HeaderWord) -> int:
        """The address of a header word, for machine code; valid while the mapping is open."""
        return ctypes.addressof(ctypes.c_int64.from_buffer(self.map, 8 * word))

    def part(self, name: str) -> memoryview:
        """The part of that name, as bytes."""
        return self._parts[name]


class ByteRing:
    """The journal's ring of length-prefixed byte records, with one writer and one reader."""

    # As `RecordRing`, but places are bytes: length and payload may each continue at the beginning of the ring.

    def __init__(self, shared: Shared) -> None:
        self._words, self._data = shared.words, shared.part("journal")
        self._size, self._at = JOURNAL_BYTES, shared.words[HeaderWord.JOURNAL_READ]

    def push(self, payload: bytes | bytearray) -> bool:
        """Appends a record. Returns False, and counts it, when the ring has no space."""
        words = self._words
        at, need = words[HeaderWord.JOURNAL_WRITE], len(payload) + 4
        if at + need - words[HeaderWord.JOURNAL_READ] > self._size:
            words[HeaderWord.JOURNAL_DROPPED] += 1
            return False
        self._put(at, len(payload).to_bytes(4, "little"))
        self._put(at + 4, payload)
        words[HeaderWord.JOURNAL_WRITE] = at + need
        return True

    def read(self) -> Iterator[bytes]:
        """Yields all records, oldest first; they stay until `release`, so that a reader that is killed loses none."""
        self._at, end = self._words[HeaderWord.JOURNAL_READ], self._words[HeaderWord.JOURNAL_WRITE]
        while self._at < end:
            length = int.from_bytes(self._get(self._at, 4), "little")
            payload = self._get(self._at + 4, length)
            self._at += 4 + length
            yield payload

    def release(self, logged: int) -> None:
        """Removes the records that were read; for a follower, `logged` is the length of the log that has them."""
        # one word, one store: a kill leaves place and length of the same moment
        self._words[HeaderWord.LOGGED] = (self._at % _PLACES) << _LENGTH_BITS | logged
        self._words[HeaderWord.JOURNAL_READ] = self._at

    def follow_killed(self) -> int:
        """Goes on behind the records that a killed reader released; returns the length of the log that has them."""
        place, logged = divmod(self._words[HeaderWord.LOGGED], 1 << _LENGTH_BITS)
        read = self._words[HeaderWord.JOURNAL_READ]
        self._at = self._words[HeaderWord.JOURNAL_READ] = read + (place - read) % _PLACES
        return logged

    def skip_all(self) -> None:
        """Discards all records; for the reader."""
        self._at = self._words[HeaderWord.JOURNAL_READ] = self._words[HeaderWord.JOURNAL_WRITE]

    def _put(self, at: int, data: bytes | bytearray) -> None:
        start = at % self._size
        first = min(len(data), self._size - start)
        self._data[start : start + first] = data[:first]
        if first < len(data):
            self._data[: len(data) - first] = data[first:]

    def _get(self, at: int, length: int) -> bytes:
        start = at % self._size
        first = min(length, self._size - start)
        data = bytes(self._data[start : start + first])
        return data if first == length else data + bytes(self._data[: length - first])


def _pack_report(data: memoryview, place: int, report: ReportRecord) -> None:
    REPORT.pack_into(data, place, *report)


def command_ring(shared: Shared) -> RecordRing[Action]:
    """The ring of actions from control to the engine."""
    words = RingWords(HeaderWord.COMMANDS_WRITE, HeaderWord.COMMANDS_READ, HeaderWord.COMMANDS_DROPPED)
    codec = RecordCodec(ACTIONS.pack_into, ACTIONS.unpack_from, SIZE)
    return RecordRing(shared.words, shared.part("commands"), COMMANDS, words, codec)


def report_ring(shared: Shared) -> RecordRing[ReportRecord]:
    """The ring of reports from the engine to control."""
    words = RingWords(HeaderWord.REPORTS_WRITE, HeaderWord.REPORTS_READ, HeaderWord.REPORTS_DROPPED)
    codec = RecordCodec(_pack_report, REPORT.unpack_from, REPORT.size)
    return RecordRing(shared.words, shared.part("reports"), REPORTS, words, codec)
