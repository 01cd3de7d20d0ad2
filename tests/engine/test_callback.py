"""The device's callback as a plain call: what it copies, what it counts, what it zero-fills."""

import ctypes
import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from tests.engine.fake_driver import give_block

from antiphon.kernel.contract.block import FALL_SECONDS, missed_fade_out
from antiphon.kernel.engine.callback import DEPTH, CallbackState, CallbackWord, jack_process, portaudio_process
from antiphon.kernel.engine.drivers.device import CallbackDriver
from antiphon.kernel.engine.loop_words import LoopWord, LoopWords
from antiphon.kernel.engine.native.waiting import DLL_HZ, follow_device
from antiphon.kernel.runtime.platform import wait_bell
from antiphon.native.compiling import compile_all
from antiphon.testing import sound as audio

BLOCK = 64
FALL = missed_fade_out(BLOCK, 48000)
RISE = np.float32(1.0) - FALL
FALL_FRAMES = round(FALL_SECONDS * 48000)


@pytest.fixture
def state():
    made = CallbackState(BLOCK, 2, 3, ahead=2)
    yield made
    made.close()


class PortAudio:
    """Calls as PortAudio does: interleaved buffers, by address."""

    def __init__(self, state):
        self.state = state
        compile_all()

    def __call__(self, x, frames=BLOCK, flags=0, out=True):
        given = np.ascontiguousarray(x.T)
        got = np.full((frames, 3), 9.0, np.float32)
        returned = portaudio_process(
            given.ctypes.data if x.size else 0, got.ctypes.data if out else 0, frames, 0, flags, self.state.words
        )
        assert returned == 0
        return got.T


class Jack:
    """Calls as JACK does: a buffer for each port, asked for by a C function."""

    def __init__(self, state):
        self.state = state
        compile_all()
        self.buffers = np.zeros((5, 4096), np.float32)
        self.asked = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
        self._port_buffer = kind(self._buffer)
        view = state.view
        view[CallbackWord.PORT_BUFFER] = ctypes.cast(self._port_buffer, ctypes.c_void_p).value
        for n in range(2):
            view[CallbackWord.PORTS_IN + n] = n
        for n in range(3):
            view[CallbackWord.PORTS_OUT + n] = 2 + n

    def _buffer(self, port, frames):
        self.asked.append((port, frames))
        return self.buffers[port].ctypes.data

    def __call__(self, x, frames=BLOCK, flags=0, out=True):
        self.buffers[2:] = 9.0
        self.buffers[: x.shape[0], : x.shape[1]] = x
        # the upper half of the register is what was there before
        assert jack_process((123 << 32) | frames, self.state.words) == 0
        assert (self.buffers[2:, frames:] == 9.0).all()
        return self.buffers[2:, :frames].copy()


@pytest.fixture(params=[PortAudio, Jack])
def call(request, state):
    return request.param(state)


def test_input_is_copied_to_the_slot_of_its_call(state, call):
    x = audio.noise(BLOCK * 40, 2)
    for n in range(40):
        call(x[:, n * BLOCK : (n + 1) * BLOCK])
        np.testing.assert_array_equal(state.inputs[n % DEPTH], x[:, n * BLOCK : (n + 1) * BLOCK])
        assert state.view[CallbackWord.IN_TAGS + n % DEPTH] == n + 1
        assert state.calls == n + 1


def test_a_block_is_heard_ahead_calls_later_and_never_at_another_time(state, call):
    x, y = np.zeros((2, BLOCK), np.float32), audio.noise(BLOCK, 3)
    state.view[CallbackWord.PRIMED] = 1
    give_block(state, 0, y)
    assert not call(x).any()
    assert not call(x).any()
    np.testing.assert_array_equal(call(x), y * RISE)
    np.testing.assert_array_equal(call(x), y[:, -1:] * FALL)  # block 1 was not given
    give_block(state, 1, y)  # too late
    assert not call(x).any()
    give_block(state, 3, y)
    give_block(state, 4, y)
    np.testing.assert_array_equal(call(x), y * RISE)
    np.testing.assert_array_equal(call(x), y)


@pytest.mark.parametrize("kind", [PortAudio, Jack])
@pytest.mark.parametrize(("block", "device", "sizes"), [
    (64, 48000, [64]), (256, 48000, [256]), (256, 48000, [100]), (1024, 48000, [1024]), (32, 48000, [32]),
    (256, 44100, [256]), (256, 96000, [512]),
])  # fmt: skip
def test_a_sine_with_missing_blocks_makes_no_step(kind, block, device, sizes):
    """440 Hz at full scale, with every fifth block and some rows of blocks missing."""
    state = CallbackState(block, 2, 3, ahead=4, rates=(48000, device), burst=2)
    call = kind(state)
    sine = np.tile(np.sin(2 * np.pi * 440 * np.arange(block * 400) / 48000), (3, 1)).astype(np.float32)
    own, lost = 2 * np.pi * 440 / min(48000, device), {n for n in range(20, 380) if n % 5 == 0 or n % 50 < 4}
    state.view[CallbackWord.PRIMED] = 1
    x, answered, played, turns = np.zeros((2, 4096), np.float32), 0, [], itertools.cycle(sizes)
    while state.calls < 390:
        frames = next(turns)
        played.append(call(x[:, :frames], frames))
        for n in range(answered, state.calls):
            if n not in lost:
                give_block(state, n, sine[:, n * block : (n + 1) * block])
        answered = state.calls
    assert state.view[CallbackWord.MISSED] == len(lost)
    steepest = np.abs(np.diff(np.concatenate(played, axis=1))).max()
    assert steepest < own + 1.5 / min(block, FALL_FRAMES)
    state.close()


def test_what_is_missing_is_silent_and_counted_once_it_was_promised(state, call):
    x = np.zeros((2, BLOCK), np.float32)
    for _ in range(5):
        assert not call(x).any()
    assert state.view[CallbackWord.MISSED] == 0  # nobody has begun to play
    state.view[CallbackWord.PRIMED] = 5 + 1  # from block 5 on
    for _ in range(2):
        call(x)
    assert state.view[CallbackWord.MISSED] == 0  # blocks 3 and 4 were nobody's
    for _ in range(3):
        call(x)
    assert state.view[CallbackWord.MISSED] == 3


def test_a_slot_of_an_older_turn_is_not_played_again(state, call):
    x = np.zeros((2, BLOCK), np.float32)
    state.view[CallbackWord.PRIMED] = 1
    for n in range(DEPTH):
        give_block(state, n, audio.noise(BLOCK, 3))
    for n in range(DEPTH + 2):
        assert call(x).any() == (n >= 2)
    np.testing.assert_array_equal(call(x), state.outputs[DEPTH - 1, :, -1:] * FALL)
    assert state.view[CallbackWord.MISSED] == 1


def through(kind, state, x, sizes):
    """What a device plays whose calls hold `sizes` frames in turn, while the engine plays each input at once."""
    call, done, heard, answered, turns = kind(state), 0, [], 0, itertools.cycle(sizes)
    while done + (frames := next(turns)) <= x.shape[1]:
        heard.append(call(x[:, done : done + frames], frames))
        done += frames
        for n in range(answered, state.calls):
            give_block(state, n, state.inputs[n % DEPTH][[0, 1, 1]])
        answered = state.calls
    return np.concatenate(heard, axis=1)


@pytest.mark.parametrize("kind", [PortAudio, Jack])
@pytest.mark.parametrize("sizes", [[1, 7], [BLOCK - 1], [BLOCK + 1], [4 * BLOCK], [1000, 24, 300]])
def test_calls_of_any_size_carry_every_frame_at_one_delay(kind, sizes):
    ahead = math.ceil(max(sizes) / BLOCK) + 1
    state = CallbackState(BLOCK, 2, 3, ahead=ahead)
    state.view[CallbackWord.PRIMED] = 1
    x = audio.noise(BLOCK * 200, 2)
    heard = through(kind, state, x, sizes)
    delay = ahead * BLOCK
    rising = heard[:2, delay : delay + BLOCK]
    np.testing.assert_array_equal(rising, x[:, :BLOCK] * RISE)
    np.testing.assert_array_equal(heard[:2, delay + BLOCK :], x[:, BLOCK : heard.shape[1] - delay])
    assert not heard[:, :delay].any()
    assert state.view[CallbackWord.MISSED] == 0
    state.close()


@pytest.mark.parametrize("kind", [PortAudio, Jack])
@pytest.mark.parametrize("device", [44100, 96000])
@pytest.mark.parametrize("hz", [100.0, 1000.0, 15000.0])
def test_a_device_of_another_rate_hears_the_same_sound(kind, device, hz):
    """There and back: what is left of a sine beside it, and its level."""
    state = CallbackState(BLOCK, 2, 3, ahead=4, rates=(48000, device), burst=2)
    x = np.tile(np.sin(2 * np.pi * hz * np.arange(2 * device) / device), (2, 1)).astype(np.float32)
    heard = through(kind, state, x, [100])[0, device // 2 :].astype(np.float64)
    t = np.arange(heard.size) / device
    base = np.stack([np.sin(2 * np.pi * hz * t), np.cos(2 * np.pi * hz * t)], axis=1)
    fit, *_ = np.linalg.lstsq(base, heard, rcond=None)
    rest = heard - base @ fit
    assert 20 * np.log10(np.hypot(*fit)) == pytest.approx(0.0, abs=0.01)
    assert 20 * np.log10(np.std(rest) / np.std(heard)) < -80.0
    assert state.calls * BLOCK == pytest.approx(2 * 48000, abs=BLOCK + 100)
    state.close()


def test_the_bell_rings_at_each_call_and_the_time_is_kept(state, call):
    x = np.zeros((2, BLOCK), np.float32)
    before = time.monotonic_ns()
    call(x)
    call(x)
    wait_bell(state.bell)
    assert before <= state.time_of(0) <= state.time_of(1) <= time.monotonic_ns()
    assert state.view[CallbackWord.LONGEST_GAP] == state.time_of(1) - state.time_of(0)


def test_portaudio_with_only_one_side_and_its_own_skips(state):
    call = PortAudio(state)
    give_block(state, 0, np.ones((3, BLOCK), np.float32))
    nothing = np.zeros((2, 0), np.float32)
    call(nothing)
    call(audio.noise(BLOCK, 2), out=False)
    np.testing.assert_array_equal(call(nothing), np.tile(RISE, (3, 1)))
    for flags, count in ((0, 0), (1, 1), (2, 2), (4, 3), (8, 4), (16, 4)):
        call(nothing, flags=flags)
        assert state.view[CallbackWord.XRUNS] == count


def test_jack_asks_for_its_ports_by_their_own_number_of_frames(state):
    call = Jack(state)
    call(np.zeros((2, BLOCK), np.float32))
    assert call.asked == [(port, BLOCK) for port in range(5)]


@pytest.mark.parametrize("ahead", [0, -1, DEPTH - 2, 100])
def test_as_many_blocks_ahead_as_slots_make_no_sense(ahead):
    with pytest.raises(ValueError, match="ahead must be 1 to"):
        CallbackState(BLOCK, 2, 2, ahead)


def test_the_loop_end_follows_the_calls_and_skips_what_would_be_dropped(state, call):
    driver = CallbackDriver(state, 48000, BLOCK, 2, 2)
    x = np.zeros((2, BLOCK), np.float32)
    call(x)
    driver.start(100, 0)
    for n in range(4):
        call(audio.noise(BLOCK, 2, seed=n))
        block = driver.wait()
        assert block == 100 + n
        np.testing.assert_array_equal(driver.input(block), audio.noise(BLOCK, 2, seed=n))
        assert driver.deliver(block, np.full((3, BLOCK), 0.1 * (n + 1), np.float32))
    np.testing.assert_allclose(call(x), 0.3)
    assert driver.counts() == (0, 0, 0)
    # five calls with nobody there: the next block to be of use is the one two before the next call
    for _ in range(5):
        call(x)
    assert driver.wait() == 100 + state.calls - 1 - 2
    assert driver.counts()[0] > 0


def test_a_late_block_is_told_from_a_lost_one(state, call):
    driver = CallbackDriver(state, 48000, BLOCK, 2, 2)
    x = np.zeros((2, BLOCK), np.float32)
    driver.start(0, 0)
    call(x)
    block = driver.wait()
    call(x)
    assert driver.deliver(block, np.ones((3, BLOCK), np.float32))
    assert driver.counts() == (0, 1, 0)
    np.testing.assert_array_equal(call(x), np.tile(RISE, (3, 1)))
    block = driver.wait()
    call(x)
    call(x)
    assert not driver.deliver(block, np.ones((3, BLOCK), np.float32))
    assert driver.counts()[0] == 2


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
