"""SLIP and length-prefixed frames, however the stream is cut."""

import itertools
import struct

import pytest
from hypothesis import example, given, strategies as st

from antiphon.kernel.control.commands.executor import WallClock
from antiphon.kernel.errors import WireError
from antiphon.kernel.wire import frames
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.ntp import from_unix_ns, to_unix_ns
from antiphon.kernel.wire.osc import encode

PACKETS = st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b"/" + b), min_size=1, max_size=6)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({p % (len(stream) + 1) for p in places} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(ends)]


def read(framer: Framer, pieces: list[bytes]) -> list[bytes | WireError]:
    return [packet for piece in pieces for packet in framer.feed(piece)]


@given(PACKETS, st.lists(st.integers(0, 1000), max_size=20), st.booleans())
def test_any_cut_gives_the_same_packets(packets: list[bytes], places: list[int], slipped: bool) -> None:
    wrap = frames.wrap if slipped else lambda p: struct.pack(">I", len(p)) + p
    framer = Framer()
    assert read(framer, cut(b"".join(map(wrap, packets)), places)) == packets
    assert framer.framing == ("slip" if slipped else "length")
    assert not framer.partial
    # A reply goes in the framing heard.
    assert read(Framer(), [framer.wrap(packets[0])]) == packets[:1]
    assert framer.wrap(packets[0]) == wrap(packets[0])


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=10))
def test_any_bytes_give_values(stream: bytes, places: list[int]) -> None:
    framer = Framer(limit=64)
    for packet in read(framer, cut(stream, places)):
        assert isinstance(packet, WireError) or len(packet) <= 128


@example(b"\xc0\xdb\xdc\xdd")
@given(st.binary(max_size=60))
def test_slip_wraps_any_bytes(packet: bytes) -> None:
    assert frames.unwrap(frames.wrap(packet)[1:-1]) == packet


def test_a_frame_is_as_long_as_the_limit_and_no_longer() -> None:
    longest = struct.pack(">I", 64) + bytes(64)
    assert Framer(limit=64).feed(longest) == [bytes(64)]
    assert isinstance(Framer(limit=63).feed(longest)[0], WireError)


def test_slip_with_one_end_only_and_empty_frames() -> None:
    ping = encode("/ping")
    framer = Framer()
    assert framer.feed(ping + frames.END + frames.END + frames.END + ping + frames.END) == [ping, ping]


def test_a_bad_escape_spoils_its_frame_only() -> None:
    ping = encode("/ping")
    first, second = Framer().feed(frames.END + b"/a\xdbX" + frames.END + frames.wrap(ping))
    assert isinstance(first, WireError)
    assert second == ping


def test_a_slip_frame_too_long_is_skipped_to_its_end() -> None:
    framer = Framer(limit=16)
    found = [p for _ in range(20) for p in framer.feed(b"/234567890")]
    assert len(found) == 1
    assert isinstance(found[0], WireError)
    assert framer.partial
    assert framer.feed(frames.END + frames.wrap(b"/ok\0")) == [b"/ok\0"]


@pytest.mark.parametrize("head", [b"\0\x10\0\1", b"\0\xff\xff\xff"])
def test_a_length_too_long_breaks_the_stream(head: bytes) -> None:
    framer = Framer()
    (found,) = framer.feed(head + b"rest")
    assert isinstance(found, WireError)
    assert framer.broken
    assert framer.feed(b"\0\0\0\4/a\0\0") == []


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"\xff\xff\xff\xff", b"\x01"])
def test_what_is_neither_framing_breaks_the_stream(start: bytes) -> None:
    framer = Framer()
    (found,) = framer.feed(start)
    assert "SLIP" in str(found)
    assert framer.broken


def test_a_zero_length_frame_is_an_empty_packet() -> None:
    assert Framer().feed(b"\0\0\0\0\0\0\0\4/a\0\0") == [b"", b"/a\0\0"]


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_round_trip_to_the_nanosecond(ns: int) -> None:
    assert to_unix_ns(from_unix_ns(ns)) == ns


def test_known_moments() -> None:
    assert to_unix_ns(2208988800 << 32) == 0
    # The 32-bit seconds began again on 7 February 2036.
    assert to_unix_ns(1 << 32) == ((1 << 32) + 1 - 2208988800) * 10**9


@given(st.integers(0, 2**62), st.integers(1, 10_000), st.sampled_from([44100, 48000, 96000]))
def test_tags_frames_apart_stay_frames_apart(start: int, frames: int, rate: int) -> None:
    first = to_unix_ns(from_unix_ns(start))
    later = to_unix_ns(from_unix_ns(start) + round(frames * 2**32 / rate))
    assert round((later - first) * rate / 1e9) == frames


class Clocks:
    def __init__(self) -> None:
        self.ns, self.offset, self.jitter = 5_000, 1_700_000_000_000_000_000, 0

    def monotonic(self) -> int:
        self.ns += 50
        return self.ns

    def realtime(self) -> int:
        return self.ns + self.offset + self.jitter


def test_the_offset_is_kept_until_the_wall_clock_steps() -> None:
    clocks = Clocks()
    wall = WallClock(clocks.realtime, clocks.monotonic)
    first = wall.offset
    assert abs(first - clocks.offset) <= 50
    clocks.jitter = 900_000
    assert not wall.update()
    assert wall.offset == first
    clocks.jitter = 5_000_000
    assert wall.update()
    assert abs(wall.offset - clocks.offset - 5_000_000) <= 50
    assert wall.steps == 1
    tag = wall.timetag(clocks.ns)
    assert abs(wall.moment(tag) - clocks.ns) <= 1
