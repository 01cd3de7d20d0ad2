"""The software clock, driven by a clock of the test's own."""

import os
import time

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.engine.fake_driver import BLOCK, FakeDriver
from tests.local import RATE

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.engine.drivers import headless
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared

MS = 1_000_000
ORIGIN = 5_000 * MS


class Clock:
    """CLOCK_MONOTONIC that goes only when it is told to, or slept on."""

    def __init__(self, now=ORIGIN):
        self.now, self.slept = now, []

    def monotonic_ns(self):
        return self.now

    def sleep(self, seconds):
        self.now += round(seconds * 1e9)
        self.slept.append(self.now)


def made(clock, monkeypatch, rate=48000, block=48, buffer=8, first=0):
    monkeypatch.setattr(headless, "time", clock)
    driver = Headless(DriverOptions(rate, block, 2, buffer_blocks=buffer))
    driver.start(first, ORIGIN)
    return driver


@pytest.fixture
def clock():
    return Clock()


def test_blocks_fall_due_one_after_another_at_exact_times(clock, monkeypatch):
    driver = made(clock, monkeypatch)
    clock.now -= MS
    assert [driver.wait() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert clock.slept == [ORIGIN + n * MS for n in range(5)]
    assert driver.counts() == (0, 0, 0)
    assert driver.time_of(7) == ORIGIN + 7 * MS
    assert driver.alive()


def test_its_times_do_not_drift_at_a_rate_that_divides_nothing(clock, monkeypatch):
    driver = made(clock, monkeypatch, rate=44100, block=64)
    far = 44100 * 3600 * 24 // 64
    assert driver.time_of(far) == ORIGIN + far * 64 * 10**9 // 44100


def test_a_slow_block_is_late_and_a_slower_one_is_missed(clock, monkeypatch):
    driver = made(clock, monkeypatch)
    sound = np.zeros((2, 48), np.float32)
    driver.wait()
    clock.now += MS
    assert driver.deliver(0, sound)
    assert driver.counts() == (0, 0, 0)
    driver.wait()
    clock.now = ORIGIN + 2 * MS + 1
    assert driver.deliver(1, sound)
    assert driver.counts() == (0, 1, 0)
    driver.wait()
    clock.now = ORIGIN + (2 + 8) * MS
    assert driver.deliver(2, sound)
    driver.wait()
    clock.now = ORIGIN + (3 + 8) * MS + 1
    assert not driver.deliver(3, sound)
    assert driver.counts() == (1, 3, 0)


def test_after_a_hiccup_within_the_buffer_it_catches_up_without_a_miss(clock, monkeypatch):
    driver = made(clock, monkeypatch)
    driver.wait()
    clock.now += 7 * MS
    assert [driver.wait() for _ in range(9)] == list(range(1, 10))
    assert driver.counts()[0] == 0
    assert clock.slept == [ORIGIN + 8 * MS, ORIGIN + 9 * MS]


@given(st.lists(st.integers(0, 30 * MS), min_size=1, max_size=60))
def test_every_block_is_played_or_missed_and_counted_once(delays):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        driver = made(clock, patch)
        played, last = 0, -1
        for delay in delays:
            block = driver.wait()
            assert block > last
            assert clock.now >= driver.time_of(block)
            last = block
            clock.now += delay
            played += driver.deliver(block, np.zeros((2, 48), np.float32))
        assert played + driver.counts()[0] == last + 1


@pytest.mark.parametrize("stalled", range(6))
def test_a_stall_in_the_middle_of_a_block_is_counted(stalled: int) -> None:
    class Stalling(GraphPlayer):
        def run(self, x: np.ndarray) -> np.ndarray:
            if self.sample == stalled * BLOCK:
                time.sleep(0.15)  # it stalls
            return super().run(x)

    shared, bell = Shared.create(MappingShape(RATE, BLOCK, 2, 16)), os.eventfd(0, os.EFD_NONBLOCK)
    loop = EngineLoop(Stalling(StreamSpec(RATE, BLOCK, 2)), FakeDriver(), shared, bell)
    for _ in range(8):
        assert loop.run_block()
    assert shared.words[HeaderWord.STALLS] >= 1
    os.close(bell)
    os.close(shared.fd)
