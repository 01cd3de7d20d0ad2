"""The loop that follows a jittering device, in machine code."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from antiphon.kernel.engine.loop_words import LoopWord, LoopWords
from antiphon.kernel.engine.native.publishing import DLL_HZ, follow_device
from antiphon.kernel.native import compile_all

RATE = 48000


class DeviceClock:
    """The words of a delay-locked loop that has seen no block."""

    def __init__(self, block: int) -> None:
        compile_all()
        self.words, self.block = LoopWords(), block
        real, omega = self.words.real, 2.0 * math.pi * DLL_HZ * block / RATE
        self.words.whole[LoopWord.BLOCK] = block
        real[LoopWord.DLL_B], real[LoopWord.DLL_C] = math.sqrt(2.0) * omega, omega * omega
        real[LoopWord.DLL_EXPECTED], real[LoopWord.DLL_PERIOD] = -1.0, block * 1e9 / RATE

    def update(self, sample: int, at: int) -> None:
        follow_device.call(self.words.address, self.words.address, sample, at)

    @property
    def time(self) -> float:
        return self.words.real[LoopWord.DLL_TIME]

    @property
    def ns_per_sample(self) -> float:
        return self.words.real[LoopWord.DLL_PERIOD] / self.block


def _followed(times_ns, block):
    loop, errors = DeviceClock(block), []
    for n, asked in enumerate(times_ns):
        loop.update(n * block, round(asked))
        errors.append(loop.time)
    return loop, np.array(errors)


@pytest.mark.parametrize("drift", [0.0, 100e-6, -300e-6])
@pytest.mark.parametrize("block", [64, 256])
def test_a_jittering_device_is_followed_far_within_its_jitter(drift, block):
    rng = np.random.default_rng(7)
    period = block * 1e9 / RATE * (1 + drift)
    count = round(20e9 / period)
    true = 1e12 + np.arange(count) * period
    jitter = rng.exponential(200e3, count)
    loop, line = _followed(true + jitter, block)
    settled = slice(round(8e9 / period), None)
    # late wake-ups only: the line lies their mean behind, and strays little from there
    error = line[settled] - true[settled] - 200e3
    assert np.abs(error).max() < 100e3
    assert np.std(error) < np.std(jitter) / 5
    assert loop.ns_per_sample == pytest.approx(1e9 / RATE * (1 + drift), rel=150e-6)


def test_a_gap_starts_it_again_without_a_slide():
    period = 256 * 1e9 / RATE
    loop = DeviceClock(256)
    for n in range(2000):
        loop.update(n * 256, round(n * period))
    loop.update(2100 * 256, round(2100 * period) + 5_000_000)
    assert loop.time == round(2100 * period) + 5_000_000
    loop.update(2101 * 256, round(2101 * period) + 5_000_000)
    assert loop.time == pytest.approx(2101 * period + 5e6, abs=20e3)
    loop.update(2102 * 256, round(2102 * period) + 10**9)
    assert loop.time == round(2102 * period) + 10**9


@given(st.lists(st.floats(0, 3e6), min_size=50, max_size=300))
def test_its_line_never_runs_back(jitter):
    period = 256 * 1e9 / RATE
    _, line = _followed(np.arange(len(jitter)) * period + np.array(jitter), 256)
    assume(len(line) > 2)
    assert (np.diff(line) > 0).all()
