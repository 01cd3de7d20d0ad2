"""The room measured: decay time, echo density, modes, stereo, level."""

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.testing import run_processor
from antiphon_effects.reverb import Reverb
from antiphon_effects.tests.measure import RATE, SPEC, db, impulse, noise


def decay_time(y, rate=RATE):
    """RT60 in s by Schroeder's backward integration, from the line through -5 to -35 dB."""
    left = np.cumsum(np.square(y[::-1], dtype=np.float64))[::-1]
    fall = 10 * np.log10(left / left[0] + 1e-30)
    inside = np.nonzero((fall < -5) & (fall > -35))[0]
    slope, _ = np.polyfit(inside / rate, fall[inside], 1)
    return -60.0 / slope


def answer(seconds, rate=RATE, **settings):
    x = np.zeros((2, round(seconds * rate)), np.float32)
    x[0, 0] = 1.0
    return run_processor(Reverb(), StreamSpec(rate, 256, 2), x, settings)


def middle(y, rate=RATE):
    """The mean decay time of the octaves about 500 Hz to 4 kHz."""
    signal = pytest.importorskip("scipy.signal")
    bands = (signal.butter(4, [f / 2**0.5, f * 2**0.5], "band", fs=rate, output="sos") for f in (500, 1000, 2000, 4000))
    return np.mean([decay_time(signal.sosfilt(band, y), rate) for band in bands])


@pytest.mark.parametrize(
    ("size", "decay", "modulation"),
    [(0.3, 0.5, 0.0), (1.0, 0.5, 1.0), (1.0, 2.0, 0.0), (2.0, 0.5, 1.0), (2.0, 4.0, 0.0), (2.0, 4.0, 1.0)],
)
def test_it_decays_in_the_time_asked_for(size, decay, modulation):
    y = answer(1.2 * decay, size=size, decay=decay, damping=0.0, modulation=modulation)
    for side in y:
        assert middle(side) == pytest.approx(decay, rel=0.05)


def test_and_at_other_rates():
    assert middle(answer(2.0, 96000, decay=1.5, damping=0.0)[0], 96000) == pytest.approx(1.5, rel=0.05)


def test_damping_shortens_the_highs_and_leaves_the_lows():
    signal = pytest.importorskip("scipy.signal")
    y = answer(3.0, decay=2.0, damping=0.6)[0]
    low = signal.sosfilt(signal.butter(4, [100, 400], "band", fs=RATE, output="sos"), y)
    high = signal.sosfilt(signal.butter(4, [6000, 12000], "band", fs=RATE, output="sos"), y)
    assert decay_time(low) == pytest.approx(2.0, rel=0.08)
    assert decay_time(high) < 1.3


def test_echoes_become_dense_as_noise_is():
    """Abel and Huang's normalised echo density ("A simple, robust measure of reverberation echo density", AES 2006)."""
    y = answer(1.0, decay=2.0)[0]
    window = 1200
    parts = y[4800 : 4800 + 20 * window].reshape(-1, window)
    density = (np.abs(parts) > parts.std(axis=1, keepdims=True)).mean(axis=1) / 0.3173
    assert density.min() > 0.8
    assert density[4:].mean() > 0.93


def test_no_mode_stands_out():
    """The late spectrum's largest peak above its mean; noise's own is some 10 dB in so many bins."""
    y = answer(2.5, decay=2.0)[0, RATE // 2 : RATE // 2 + 65536] * np.hanning(65536)
    power = np.abs(np.fft.rfft(y)[300:8000]) ** 2
    smooth = np.convolve(power, np.ones(301) / 301, "same")
    assert 10 * np.log10((power / smooth)[150:-150].max()) < 13.0


def test_left_and_right_differ_and_both_hear_a_sound_of_one_side():
    y = answer(1.0)
    late = y[:, RATE // 4 :]
    assert abs(np.corrcoef(late)[0, 1]) < 0.1
    assert abs(db(late[0]) - db(late[1])) < 1.5


@pytest.mark.parametrize("decay", [0.5, 2.0, 10.0])
def test_a_steady_noise_is_as_loud_in_the_room_as_outside(decay):
    x = noise(2.0 + decay)
    y = run_processor(Reverb(), SPEC, x, {"decay": decay, "damping": 0.0})
    assert db(y[:, -RATE:]) - db(x) == pytest.approx(-1.0, abs=3.0)


def test_the_predelay_comes_before_the_first_sound():
    y = run_processor(Reverb(), SPEC, impulse(0.5), {"predelay": 0.1, "size": 0.3})[0]
    first = np.argmax(np.abs(y) > 1e-6)
    assert 0.1 * RATE <= first < 0.12 * RATE
