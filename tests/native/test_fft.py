"""The Fourier transform as kernels, beside numpy's in double precision."""

import numpy as np
import pytest

from antiphon.api._kernels import RealFft, fft_real, fft_real_inverse


@pytest.mark.parametrize("size", [4, 8, 16, 32, 128, 2048, 4096, 16384])
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
