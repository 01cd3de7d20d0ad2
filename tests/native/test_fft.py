"""The Fourier transform as kernels, beside numpy's in double precision."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.each import each

from antiphon.api._kernels import RealFft, fft_real, fft_real_inverse
from antiphon.native.dsp import KNEE, limit, release_decay_factor


@each("size", [4, 8, 16, 32, 128, 2048, 4096, 16384])
def test_it_is_numpys_there_and_back(size):
    fft = RealFft(size)
    rng = np.random.default_rng(size)
    x = rng.standard_normal(size).astype(np.float32)
    bins = np.zeros(size + 2, np.float32)
    fft_real(x, size, fft.turns, fft.work, bins)
    wanted = np.fft.rfft(x.astype(np.float64))
    assert np.abs(bins.view(np.complex64) - wanted).max() < 1e-6 * np.sqrt(size)
    fft_real_inverse(bins, size, fft.turns, fft.work, bins)
    assert np.abs(bins[:size] - x).max() < 2e-6


def test_tones_are_in_their_bins_and_nothing_elsewhere():
    size = 512
    fft = RealFft(size)
    for place in (0, 1, 3, 64, 128, 255, 256):
        x = np.cos(2 * np.pi * place * np.arange(size) / size + 0.3).astype(np.float32)
        bins = np.zeros(size + 2, np.float32)
        fft_real(x, size, fft.turns, fft.work, bins)
        loud = np.abs(bins.view(np.complex64))
        assert loud.argmax() == place
        assert np.delete(loud, place).max() < 1e-4


def test_it_gives_the_same_as_plain_python():
    fft, other = RealFft(64), RealFft(64)
    x = np.random.default_rng(3).standard_normal(64).astype(np.float32)
    bins, plain = np.zeros(66, np.float32), np.zeros(66, np.float32)
    fft_real(x, 64, fft.turns, fft.work, bins)
    fft_real.python(x, 64, other.turns, other.work, plain)
    np.testing.assert_allclose(bins, plain, atol=2e-6)


@pytest.mark.parametrize("size", [0, 2, 12, 1000])
def test_a_size_it_cannot_do_is_refused(size):
    with pytest.raises(ValueError, match="power of two"):
        RealFft(size)


RATE = 48000


def limited(x, blocks=(256,), rate=RATE):
    y, state, turned, at = np.array(x, np.float32), np.zeros(1), 0, 0
    sizes = iter(())
    while at < y.shape[1]:
        size = next(sizes, None)
        if size is None:
            sizes = iter(blocks)
            continue
        part = np.ascontiguousarray(y[:, at : at + size])
        turned += limit(part, part.strides[0] // 4, state, release_decay_factor(rate), part.shape[0], part.shape[1])
        y[:, at : at + size] = part
        at += size
    return y, turned


def loud(level, seed=0, frames=4000):
    return np.random.default_rng(seed).normal(0, level, (2, frames)).astype(np.float32)


def test_below_minus_1_dbfs_no_bit_changes():
    x = np.clip(loud(0.8), -KNEE, KNEE).astype(np.float32)
    x = np.where(np.abs(x) > KNEE, np.float32(0.8912), x)
    y, turned = limited(x)
    np.testing.assert_array_equal(y, x)
    assert turned == 0


def test_nothing_reaches_over_full_scale_at_no_latency():
    for level in (1.0, 4.0, 1e3, 1e30):
        x = loud(level)
        x[1, 17] = 3e38
        y, turned = limited(x)
        assert np.abs(y).max() <= 1.0
        assert turned
        assert (np.sign(y) == np.sign(x))[np.abs(y) > 0].all()


def test_above_it_loudness_bends_and_stays_in_order():
    heights = np.geomspace(KNEE * 1.001, 20.0, 50).astype(np.float32)
    out = np.array([limited(np.full((2, 1), height))[0][0, 0] for height in heights])
    over = (heights - KNEE) / (1.0 - KNEE)
    np.testing.assert_allclose(out, KNEE + (1.0 - KNEE) * over / (1.0 + over), rtol=1e-5)
    assert (np.diff(out) > 0).all()


def test_channels_share_one_gain():
    x = np.stack([np.full(300, 2.0), np.full(300, 0.2)]).astype(np.float32)
    y, _ = limited(x)
    np.testing.assert_allclose(y[1] / y[0], 0.1, rtol=1e-5)


def test_it_lets_go_after_a_peak_and_is_gone():
    x = np.full((2, RATE), 0.5, np.float32)
    x[:, 100] = 5.0
    y, _ = limited(x)
    assert y[0, 101] < 0.2
    np.testing.assert_array_equal(y[:, -100:], x[:, -100:])


def test_nan_and_infinity_become_silence_and_do_no_more():
    x = np.full((2, 64), 0.5, np.float32)
    x[0, 3], x[1, 9], x[0, 9] = np.nan, np.inf, -np.inf
    y, turned = limited(x)
    assert y[0, 3] == y[1, 9] == y[0, 9] == 0.0
    assert turned == 0
    assert (np.delete(y, [3, 9], axis=1) == 0.5).all()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(0, 50))
def test_any_split_gives_the_same_samples(blocks, seed):
    x = loud(1.0, seed, 1000)
    np.testing.assert_array_equal(limited(x, blocks)[0], limited(x, (1000,))[0])
