"""The tempo and the place of a clock, from its ticks alone."""

import pytest
from hypothesis import given, settings, strategies as st

from antiphon_midi.clock.ticks import MEMORY, SUSPECTS, TickLoop
from antiphon_midi.tests.clock_rig import GearClock, steady


def followed(times: list[int]) -> TickLoop:
    loop = TickLoop()
    for ns in times:
        loop.tick(ns)
    return loop


def test_an_exact_clock_is_known_after_two_ticks() -> None:
    clock = GearClock(steady(132.0))
    assert followed(clock.times(range(1))).bpm == 0.0
    loop = followed(clock.times(range(2)))
    assert loop.bpm == pytest.approx(132.0, rel=1e-6)
    assert loop.ticks_at(clock.ns(50)) == pytest.approx(50.0, abs=1e-3)
    assert loop.ns_of(3) == pytest.approx(clock.ns(3), abs=2000)


@settings(max_examples=25, deadline=None)
@given(st.floats(30.0, 140.0), st.integers(0, 10_000))
def test_four_beats_with_ticks_off_by_two_milliseconds_give_the_tempo_and_the_place(bpm: float, seed: int) -> None:
    clock = GearClock(steady(bpm), jitter=0.002, seed=seed)
    loop = followed(clock.times(range(MEMORY + 1)))
    assert loop.bpm == pytest.approx(bpm, rel=1e-3)
    assert abs(loop.ticks_at(clock.ns(MEMORY)) - MEMORY) * loop.period < 0.0012
    # the deviation of an even distribution of 2 ms either way is 2 / sqrt(3) ms
    assert 0.0006 < loop.jitter < 0.002


@settings(max_examples=25, deadline=None)
@given(st.floats(140.0, 240.0), st.integers(0, 10_000))
def test_a_fast_clock_is_known_less_exactly_after_four_beats(bpm: float, seed: int) -> None:
    loop = followed(GearClock(steady(bpm), jitter=0.002, seed=seed).times(range(MEMORY + 1)))
    assert loop.bpm == pytest.approx(bpm, rel=5e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(100, 300), max_size=4))
def test_ticks_that_never_came_are_counted_by_time(seed: int, missing: set[int]) -> None:
    clock = GearClock(steady(120.0), jitter=0.001, seed=seed)
    loop = followed(clock.times(tick for tick in range(400) if tick not in missing))
    assert (loop.count, loop.lost) == (399, len(missing))
    assert loop.bpm == pytest.approx(120.0, rel=2e-3)


def test_ticks_that_came_twice_and_ticks_held_up_together_leave_count_and_tempo() -> None:
    clock = GearClock(steady(120.0))
    twice = clock.times([*range(200), 199, 199, *range(200, 300)])
    assert followed(twice).count == 299
    held = [clock.ns(205 if 200 <= tick <= 205 else tick) for tick in range(300)]
    loop = followed(held)
    assert (loop.count, loop.lost) == (299, 0)
    assert loop.bpm == pytest.approx(120.0, rel=1e-3)


@pytest.mark.parametrize("after", [140.0, 90.0, 240.0, 60.0])
def test_another_tempo_is_found_within_two_beats_and_the_count_stays(after: float) -> None:
    def seconds(tick: float) -> float:
        return tick * 60 / 2880 if tick <= 240 else 240 * 60 / 2880 + (tick - 240) * 60 / (after * 24)

    clock = GearClock(seconds, jitter=0.001, seed=3)
    loop = followed(clock.times(range(241 + 48)))
    assert (loop.count, loop.lost) == (288, 0)
    assert loop.bpm == pytest.approx(after, rel=3e-3)
    assert loop.ticks_at(clock.ns(288)) == pytest.approx(288.0, abs=0.1)


def test_a_tempo_that_moves_slowly_is_followed_within_two_percent() -> None:
    # 120 to 150 bpm over 16 beats, as a ramp that is linear in time
    def seconds(tick: float) -> float:
        beat = tick / 24.0
        return (((2.0 * 2.0 + 2.0 * 0.034 * beat) ** 0.5) - 2.0) / 0.034

    clock = GearClock(seconds, jitter=0.001, seed=1)
    loop = TickLoop()
    for tick, ns in enumerate(clock.times(range(384))):
        loop.tick(ns)
        if tick > 48:
            bpm = 60.0 * (2.0 + 0.034 * seconds(tick))
            assert loop.bpm == pytest.approx(bpm, rel=0.025), tick


def test_no_times_whatever_break_the_loop() -> None:
    loop = followed([0] * 50 + [10**18] * 50 + [5] * 50)
    assert loop.count >= 0
    assert loop.period > 0.0
    loop.anchor(7)
    assert loop.used <= SUSPECTS
