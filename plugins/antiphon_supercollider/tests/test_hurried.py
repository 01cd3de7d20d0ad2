"""What was played ahead of the engine is played once and in order, and ended where the engine never says it."""

import pytest

from antiphon.api import Event
from antiphon_supercollider.voices.played_ahead import INITIAL_HOPS, MAX_EVENTS, TIMEOUT_SECONDS, PlayedAheadEvents

RATE, HOP = 48000, 256


def on(number: int, serial: int = 0) -> Event:
    return Event("on", 0, number, 0.5, 1, 0, bool(serial), serial)


@pytest.fixture
def hurried() -> PlayedAheadEvents:
    made = PlayedAheadEvents(RATE)
    for n in range(INITIAL_HOPS):
        made.hop(n * HOP, [])
    return made


def test_a_hop_plays_what_has_not_been_played(hurried):
    hurried.add(on(60, 2), 1000, 0)
    hurried.add(on(61, 3), 1001, 0)
    timed, unknown = on(70), on(71, 9)
    assert hurried.hop(0, [on(60, 2), timed, unknown]) == [timed, unknown]
    assert hurried.hop(0, [on(60, 2)]) == [on(60, 2)], "one event is played ahead once"
    assert len(hurried) == 1


def test_what_is_not_confirmed_by_the_engines_time_is_ended_once(hurried):
    hurried.add(on(60, 2), 1000, 480)
    hurried.add(on(61, 3), 1001, 960)
    late = 480 + round(TIMEOUT_SECONDS * RATE)
    assert hurried.unclaimed(late) == []
    assert hurried.unclaimed(late + 1) == [1000]
    assert hurried.unclaimed(late + 1) == []
    # the engine says it after all: it is played as if it were new
    assert hurried.hop(late + 1, [on(60, 2)]) == [on(60, 2)]


def test_one_that_is_left_to_its_hop_is_not_overtaken(hurried):
    for n in range(MAX_EVENTS):
        assert hurried.takes(on(60, n + 2))
        hurried.add(on(60, n + 2), n, 0)
    first, second, third = (on(61, MAX_EVENTS + 2 + n) for n in range(3))
    assert not hurried.takes(first)
    hurried.hop(0, [on(60, n + 2) for n in range(MAX_EVENTS)])
    assert not hurried.takes(second), "there is room, but the first has not been played"
    assert hurried.hop(HOP, [first]) == [first]
    assert not hurried.takes(third)
    assert hurried.hop(2 * HOP, [second, third]) == [second, third]
    assert hurried.takes(on(62, 1000))


def test_one_that_is_left_and_never_comes_holds_the_rest_up_for_a_while_only(hurried):
    hurried.add(on(60, 2), 1000, 0)
    hurried.lost()
    assert not hurried.takes(on(61, 3))
    hurried.hop(0, [])
    hurried.hop(round(TIMEOUT_SECONDS * RATE) + 1, [])
    assert hurried.takes(on(62, 4))


def test_what_died_with_its_player_is_played_by_its_hop_and_its_end_behind_it(hurried):
    begin, end = on(60, 2), Event("off", 0, 60, 0.0, 1, 0, True, 3)
    hurried.add(begin, 1000, 0)
    hurried.lost()
    assert not hurried.takes(end)
    assert hurried.hop(0, [begin]) == [begin]
    assert hurried.hop(HOP, [end]) == [end]


def test_a_stream_that_begins_anew_waits_for_what_was_under_way():
    hurried = PlayedAheadEvents(RATE)
    assert not hurried.takes(on(60, 2))
    assert hurried.hop(0, [on(60, 2)]) == [on(60, 2)]
    for n in range(1, INITIAL_HOPS):
        assert not len(hurried)
        hurried.hop(n * HOP, [])
    assert hurried.takes(on(61, 3))
    hurried.add(on(61, 3), 1000, 0)
    hurried.clear()
    assert not hurried.takes(on(61, 4))


def test_one_its_player_could_not_take_is_not_overtaken_by_its_end(hurried):
    note, end = on(60, 7), Event("off", 0, 60, 0.0, 1, 0, True, 8)
    assert hurried.takes(note)
    hurried.leave(note)
    assert not hurried.takes(end), "it waits for the note before it"
    assert list(hurried.hop(512, [note, end])) == [note, end]
