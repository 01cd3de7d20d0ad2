"""Time tags, the Unix clock, and the latched offset between wall clock and monotonic clock."""

from hypothesis import given, strategies as st

from antiphon.kernel.control.commands.engine_clock import WallClock
from antiphon.kernel.wire.ntp import from_unix_ns, to_unix_ns


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
