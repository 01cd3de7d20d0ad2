"""A MIDI clock is followed: tempo, beat, transport, song position, and what happens when it stops or is wild."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api.backends.transports import NudgeBeat, Sample, SetTransport
from antiphon.web import control_status
from antiphon_midi import messages as midi
from antiphon_midi.clock import ClockFollower
from antiphon_midi.tests.clock_rig import LAG, RATE, START_NS, ClockServer, GearClock, distance, feed, say, steady
from antiphon_midi.tests.midi_rig import MidiStage, staged
from antiphon_midi.ticks import SUSPECTS, TickLoop

BEAT = 24


def started(bpm: float, jitter: float = 0.0, seed: int = 0) -> tuple[ClockServer, ClockFollower, GearClock]:
    """A server at 120 bpm, and a clock that says Start before its first tick."""
    server = ClockServer()
    follower = ClockFollower(server)
    server.until(START_NS + 900_000_000)
    say(server, follower, midi.START)
    return server, follower, GearClock(steady(bpm), jitter, seed)


@settings(max_examples=20, deadline=None)
@given(st.floats(40.0, 140.0), st.integers(0, 10_000))
def test_tempo_within_a_thousandth_and_beat_within_two_milliseconds_after_four_beats(bpm: float, seed: int) -> None:
    server, follower, clock = started(bpm, 0.002, seed)
    times = clock.times(range(12 * BEAT))
    for beat in range(12):
        feed(server, follower, times[beat * BEAT : (beat + 1) * BEAT])
        server.until(server.ns + 8_000_000)
        if beat >= 3:
            assert server.tempo()[1] == pytest.approx(bpm, rel=1e-3), beat
            assert abs(distance(server, clock, (beat + 1) * BEAT - 1)) < 0.0025, beat
    assert (follower.leaps, server.late) == (0, 0)


def test_a_clock_at_132_is_met_to_the_sample_and_then_left_alone() -> None:
    server, follower, clock = started(132.0)
    feed(server, follower, clock.times(range(4 * BEAT)))
    count = len(server.done)
    feed(server, follower, clock.times(range(4 * BEAT, 40 * BEAT)))
    assert server.tempo()[1] == pytest.approx(132.0, rel=1e-6)
    assert abs(distance(server, clock, 40 * BEAT - 1)) < 2e-5
    assert len(server.done) <= count + 2
    status = follower.status()
    assert (status["state"], status["port"], status["lost"]) == ("following", "gear", 0)
    assert status["summary"] == "132.00 bpm, by the MIDI clock of gear"


def test_a_node_that_leads_the_clock_goes_before_it_and_the_status_says_so() -> None:
    server, follower, clock = started(132.0)
    feed(server, follower, clock.times(range(4 * BEAT)))
    server.leads, count = "follow", len(server.done)
    feed(server, follower, clock.times(range(4 * BEAT, 8 * BEAT)))
    assert len(server.done) == count
    told = follower.status()
    assert told["state"] == "refused"
    assert told["summary"] == (
        "the MIDI clock of gear is not followed: follow leads the clock; send /node/follow/on 0 first"
    )
    server.map.set_tempo(round(server.sample_at(server.ns)), 100.0)
    server.leads = ""
    feed(server, follower, clock.times(range(8 * BEAT, 24 * BEAT)))
    assert follower.status()["state"] == "following"
    assert server.tempo()[1] == pytest.approx(132.0, rel=1e-3)
    assert abs(distance(server, clock, 24 * BEAT - 1)) < 0.0025


def test_beat_nought_is_at_the_first_tick_after_start_whenever_that_comes() -> None:
    server, follower, clock = started(120.0)
    feed(server, follower, clock.times(range(1)))
    server.until(server.ns + 10_000_000)
    at, command = server.done[0]
    assert command == SetTransport(True, 0.0, Sample(at))
    assert at == round(server.sample_at(clock.ns(0)) + LAG * RATE)


def test_stop_continue_and_the_song_position_move_the_beat() -> None:
    server, follower, clock = started(120.0)
    feed(server, follower, clock.times(range(2 * BEAT)))
    say(server, follower, midi.STOP)
    server.until(server.ns + 20_000_000)
    assert not server.tempo()[2]
    stood = server.tempo()[0]
    # ticks go on while the song stands, and do not move it
    feed(server, follower, clock.times(range(2 * BEAT, 4 * BEAT)))
    assert server.tempo()[0] == stood
    say(server, follower, midi.CONTINUE)
    feed(server, follower, clock.times(range(4 * BEAT, 6 * BEAT)))
    assert abs(distance(server, clock, 6 * BEAT - 1, beat=4.0 - 1 / BEAT)) < 1e-4
    # the position is in sixteenths: 2 + 3 * 128 of them are 96.5 beats
    say(server, follower, midi.STOP)
    say(server, follower, midi.POSITION, 2, 3)
    say(server, follower, midi.CONTINUE)
    feed(server, follower, clock.times(range(6 * BEAT, 8 * BEAT)))
    assert abs(distance(server, clock, 8 * BEAT - 1, beat=96.5 + 2.0 - 1 / BEAT)) < 1e-4
    # some gear sends it while it plays
    say(server, follower, midi.POSITION, 0, 0)
    feed(server, follower, clock.times(range(8 * BEAT, 9 * BEAT)))
    assert abs(distance(server, clock, 9 * BEAT - 1, beat=1.0 - 1 / BEAT)) < 1e-4
    assert (follower.leaps, server.late) == (0, 0)


def test_gear_that_stops_its_clock_between_two_songs_begins_at_beat_nought() -> None:
    server, follower, clock = started(120.0)
    feed(server, follower, clock.times(range(8 * BEAT)))
    say(server, follower, midi.STOP)
    server.until(server.ns + 7_010_000_000)
    say(server, follower, midi.START)
    later = GearClock(lambda tick: steady(120.0)(tick) + 11.5)
    feed(server, follower, later.times(range(BEAT)))
    server.until(server.ns + 8_000_000)
    assert abs(distance(server, later, BEAT - 1)) < 1e-3


def test_without_a_start_the_beat_goes_to_the_nearest_tick() -> None:
    server = ClockServer(tempo=90.0)
    follower, clock = ClockFollower(server), GearClock(steady(132.0), 0.001, 4)
    feed(server, follower, clock.times(range(12 * BEAT)))
    server.until(server.ns + 8_000_000)
    assert server.tempo()[1] == pytest.approx(132.0, rel=1e-3)
    sample = server.sample_at(clock.ns(12 * BEAT - 1)) + LAG * RATE
    ticks = server.map.beat_at(round(sample)) * BEAT
    assert ticks == pytest.approx(round(ticks), abs=0.1)
    assert not any(isinstance(command, SetTransport) for _, command in server.done)
    nudges = [command.beats for _, command in server.done if isinstance(command, NudgeBeat)]
    assert [abs(beats) <= 0.51 / BEAT for beats in nudges] == [True]


@pytest.mark.parametrize("after", [140.0, 121.0, 80.0])
def test_a_change_of_tempo_is_followed_without_a_leap(after: float) -> None:
    def seconds(tick: float) -> float:
        return tick * 60 / 2880 if tick <= 240 else 240 * 60 / 2880 + (tick - 240) * 60 / (after * BEAT)

    server, follower, _ = started(120.0)
    clock = GearClock(seconds, 0.001, 2)
    feed(server, follower, clock.times(range(240 + 8 * BEAT)))
    server.until(server.ns + 8_000_000)
    assert server.tempo()[1] == pytest.approx(after, rel=2e-3)
    assert abs(distance(server, clock, 240 + 8 * BEAT - 1)) < 0.004
    assert follower.leaps == 0
    beats = [c.beat for _, c in server.done if isinstance(c, SetTransport)]
    assert beats == [0.0]


def test_a_clock_that_stops_leaves_the_tempo_and_is_met_again_where_it_would_be() -> None:
    server, follower, clock = started(132.0, 0.001, 1)
    feed(server, follower, clock.times(range(8 * BEAT)))
    follower.look()
    assert follower.status()["state"] == "following"
    server.until(server.ns + 600_000_000)
    follower.look()
    status = follower.status()
    assert (status["state"], status["summary"]) == (
        "stopped",
        f"the MIDI clock of gear has stopped; the tempo stays at {server.tempo()[1]:.2f}",
    )
    server.until(clock.ns(13 * BEAT) - 1_000_000)
    assert server.tempo()[1:] == (pytest.approx(132.0, rel=1e-3), True)
    feed(server, follower, clock.times(range(13 * BEAT, 20 * BEAT)))
    server.until(server.ns + 8_000_000)
    assert abs(distance(server, clock, 20 * BEAT - 1)) < 0.003
    status = follower.status()
    assert (status["state"], status["lost"], status["leaps"]) == ("following", 5 * BEAT, 0)


@pytest.mark.parametrize("bpm", [1000.0, 9.0])
def test_a_wild_clock_is_refused_in_a_sentence_and_changes_nothing(bpm: float) -> None:
    server, follower, clock = started(bpm)
    feed(server, follower, clock.times(range(3 * BEAT)))
    status = follower.status()
    assert status["state"] == "refused"
    assert status["summary"].startswith("the MIDI clock of gear is not followed: tempo takes 10 to 999 bpm, not ")
    assert server.tempo()[1] == 120.0
    sane = GearClock(lambda tick: clock.seconds(3 * BEAT) + steady(100.0)(tick))
    feed(server, follower, sane.times(range(8 * BEAT)))
    assert follower.status()["state"] == "following"
    assert server.tempo()[1] == pytest.approx(100.0, rel=1e-3)


def test_one_port_is_followed_until_it_stops() -> None:
    server, follower, clock = started(132.0)
    feed(server, follower, clock.times(range(4 * BEAT)))
    say(server, follower, midi.STOP, port="other")
    say(server, follower, midi.TICK, port="other")
    assert (server.tempo()[2], follower.port) == (True, "gear")
    server.until(server.ns + 600_000_000)
    follower.look()
    other = GearClock(lambda tick: steady(100.0)(tick) + 3.0)
    feed(server, follower, other.times(range(4 * BEAT)), port="other")
    assert follower.port == "other"
    assert server.tempo()[1] == pytest.approx(100.0, rel=1e-3)


def test_a_beat_moved_by_hand_goes_back_to_the_clock() -> None:
    server, follower, clock = started(120.0)
    feed(server, follower, clock.times(range(4 * BEAT)))
    server.do(SetTransport(None, 32.0), "somebody")
    feed(server, follower, clock.times(range(4 * BEAT, 6 * BEAT)))
    assert abs(distance(server, clock, 6 * BEAT - 1)) < 1e-3
    assert follower.leaps == 1


@pytest.fixture
async def following(tmp_path: Path, home: Path) -> AsyncIterator[MidiStage]:
    async with staged(tmp_path / "state", there=["keys 20:0"], clock="follow") as made:
        yield made


async def test_a_clock_at_132_changes_the_tempo_of_the_server(following: MidiStage) -> None:
    live = following
    period = 60.0 / (132.0 * BEAT)
    live.fake.put("keys 20:0", midi.START)
    for _ in range(3 * BEAT):
        live.fake.put("keys 20:0", midi.TICK, ns=live.time.monotonic())
        await live.move(period)
    assert live.engine.bpm == pytest.approx(132.0, rel=1e-2)
    clock = control_status.status(live.app)["midi"]["clock"]
    assert (clock["mode"], clock["port"], clock["state"]) == ("follow", "keys", "following")
    assert clock["bpm"] == pytest.approx(132.0, rel=1e-4)
    live.fake.there = []
    await live.look()
    assert control_status.status(live.app)["midi"]["clock"]["state"] == "stopped"


async def test_without_the_option_a_clock_changes_nothing(live: MidiStage) -> None:
    assert await live.play(*[midi.TICK] * 48, midi.START, midi.POSITION, 1, 1, midi.STOP) == []
    assert (live.engine.bpm, control_status.status(live.app)["midi"]["clock"]) == (120.0, None)


def followed(times: list[int]) -> TickLoop:
    loop = TickLoop()
    for ns in times:
        loop.tick(ns)
    return loop


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
