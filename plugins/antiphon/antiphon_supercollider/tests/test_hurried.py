"""What was played ahead of the engine, and a scsynth that does nothing told from a machine that stands still."""

import pytest

from antiphon.api import Event
from antiphon_supercollider.backend import INITIAL_HOPS, MAX_EVENTS, TIMEOUT_SECONDS, PlayedAheadEvents
from antiphon_supercollider.scsynth import scsynth_supervisor
from antiphon_supercollider.scsynth.scsynth_supervisor import ASK_SECONDS, SECONDS, HangDetector

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
    assert hurried.unconfirmed_voices(late) == []
    assert hurried.unconfirmed_voices(late + 1) == [1000]
    assert hurried.unconfirmed_voices(late + 1) == []
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
    hurried.defer()
    assert not hurried.takes(on(61, 3))
    hurried.hop(0, [])
    hurried.hop(round(TIMEOUT_SECONDS * RATE) + 1, [])
    assert hurried.takes(on(62, 4))


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


LOOK = 0.02


@pytest.fixture
def clock(monkeypatch):
    """Nanoseconds, to be moved."""
    now = [1_000_000_000]
    monkeypatch.setattr(scsynth_supervisor.time, "monotonic_ns", lambda: now[0])
    return now


def after(silence, clock, seconds, seen=0, frames=None):
    """A look so much later; JACK's clock goes with it, or stands at `frames`."""
    clock[0] += round(seconds * 1e9)
    return silence.look(clock[0] * 48 // 1_000_000 if frames is None else frames, seen)


def test_silence_that_lasts_is_noticed_once(clock):
    silence = HangDetector(256, 48000, LOOK)
    said = [after(silence, clock, LOOK) for _ in range(14)]
    assert said.index(True) == pytest.approx(SECONDS / LOOK, abs=2)
    assert said.count(True) == 1


def test_what_comes_breaks_it(clock):
    silence = HangDetector(256, 48000, LOOK)
    assert not any(after(silence, clock, LOOK, seen=n // 5) for n in range(200))


def test_one_that_comes_after_another_has_time_to_be_heard(clock):
    silence = HangDetector(256, 48000, LOOK)
    silence.restart(SECONDS)
    said = [after(silence, clock, LOOK) for _ in range(30)]
    assert said.index(True) == pytest.approx(2 * SECONDS / LOOK, abs=1)


def test_a_machine_that_stands_still_counts_as_little(clock):
    silence = HangDetector(256, 48000, LOOK)
    assert not after(silence, clock, LOOK)
    assert not after(silence, clock, 30.0)
    assert silence.seconds <= 3 * LOOK + 1e-9


def test_a_clock_that_stands_still_is_nobodys_fault(clock):
    silence = HangDetector(256, 48000, LOOK)
    assert not any(after(silence, clock, LOOK, frames=4800) for _ in range(100))
    assert after(silence, clock, LOOK, frames=4800 + 256)


def test_questions_are_asked_now_and_then(clock):
    silence = HangDetector(256, 48000, LOOK)
    silence.patience = 10.0
    asked = 0
    for _ in range(100):
        after(silence, clock, LOOK)
        asked += silence.due
    assert asked == pytest.approx(100 * LOOK / ASK_SECONDS, abs=1)


def test_one_its_player_could_not_take_is_not_overtaken_by_its_end(hurried):
    note, end = on(60, 7), Event("off", 0, 60, 0.0, 1, 0, True, 8)
    assert hurried.takes(note)
    hurried.leave(note)
    assert not hurried.takes(end), "it waits for the note before it"
    assert list(hurried.hop(512, [note, end])) == [note, end]
