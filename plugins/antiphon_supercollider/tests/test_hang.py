"""A scsynth that does nothing is told from a machine that stands still."""

import pytest

from antiphon_supercollider.scsynth import hang_detector
from antiphon_supercollider.scsynth.hang_detector import ASK_SECONDS, SECONDS, HangDetector

LOOK = 0.02


@pytest.fixture
def clock(monkeypatch):
    """Nanoseconds, to be moved."""
    now = [1_000_000_000]
    monkeypatch.setattr(hang_detector.time, "monotonic_ns", lambda: now[0])
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
    silence.broken(SECONDS)
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


def test_long_periods_have_more_patience():
    # ours waits for 20 periods of them
    assert HangDetector(1024, 48000, LOOK).patience > 20 * 1024 / 48000


def test_questions_are_asked_now_and_then(clock):
    silence = HangDetector(256, 48000, LOOK)
    silence.patience = 10.0
    asked = 0
    for _ in range(100):
        after(silence, clock, LOOK)
        asked += silence.due
    assert asked == pytest.approx(100 * LOOK / ASK_SECONDS, abs=1)
