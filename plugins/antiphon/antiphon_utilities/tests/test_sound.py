"""What each utility does to sound, measured."""

from dataclasses import replace

import numpy as np
import pytest

from antiphon.api import IO, StreamSpec
from antiphon.kernel.contract.harness import prepare
from antiphon.kernel.contract.processor import BlockTime
from antiphon.testing import render, run_processor
from antiphon_utilities.delay import Delay
from antiphon_utilities.filter import Filter
from antiphon_utilities.limiter import Limiter
from antiphon_utilities.mix import Gain, Mix, Pan
from antiphon_utilities.modulators import Meter
from antiphon_utilities.tests.conftest import RATE, SPEC, noise, sine, steepest
from antiphon_utilities.tone import Click, Tone


def db(x):
    return 20 * np.log10(np.sqrt(np.mean(np.square(x, dtype=np.float64))) + 1e-12)


class TestGain:
    def test_one_changes_no_bit(self):
        x = noise()
        np.testing.assert_array_equal(run_processor(Gain(), SPEC, x), x)

    def test_a_change_is_smoothed_over_3_to_5_ms_from_its_sample(self):
        x = np.ones((2, 2000), np.float32)
        y = run_processor(Gain(), SPEC, x, {"gain": 1.0}, [(700, "gain", 0.0)])
        assert (y[:, :700] == 1.0).all()
        moving = np.nonzero((y[0] > 0) & (y[0] < 1))[0]
        assert moving[0] == 700
        assert 0.003 <= len(moving) / RATE <= 0.005
        assert (y[:, 700 + 240 :] == 0.0).all()


class TestFilter:
    @pytest.mark.parametrize(
        ("mode", "hertz", "low", "high"),
        [
            ("lowpass", 100, -0.2, 0.2),
            ("lowpass", 1000, -3.2, -2.8),
            ("lowpass", 4000, -26, -23),
            ("highpass", 8000, -0.3, 0.2),
            ("highpass", 250, -26, -23),
            ("bandpass", 1000, -0.2, 0.2),
            ("bandpass", 100, -22, -16),
            ("notch", 1000, -200, -50),
            ("notch", 60, -0.3, 0.2),
        ],
    )
    def test_its_curve(self, mode, hertz, low, high):
        x = sine(hertz)
        y = run_processor(Filter(), SPEC, x, {"mode": mode, "cutoff": 1000.0})
        assert low <= db(y[:, RATE // 4 :]) - db(x[:, RATE // 4 :]) <= high

    def test_sweeps_and_changes_of_mode_do_not_click(self):
        x = sine(200)
        changes = [(12000, "cutoff", 8000.0), (16000, "mode", "notch"), (20000, "mode", "lowpass")]
        y = run_processor(Filter(), SPEC, x, {"cutoff": 300.0}, changes)
        assert steepest(y) < 2.5 * steepest(x)

    def test_stable_at_its_edges_at_every_rate(self):
        for rate in (44100, 48000, 96000):
            spec = StreamSpec(rate, 256, 2)
            x = noise(rate // 4)
            y = run_processor(
                Filter(), spec, x, {"cutoff": 20000.0, "q": 20.0}, [(999, "cutoff", 20.0), (1500, "cutoff", 2e4)]
            )
            assert np.abs(y).max() < 50


class TestDelay:
    def test_echoes_come_on_time_and_fade(self):
        x = np.zeros((2, RATE), np.float32)
        x[:, 10] = 1.0
        y = run_processor(Delay(), SPEC, x, {"time": 0.25, "feedback": 0.5})
        np.testing.assert_array_equal(np.nonzero(y[0])[0], [12010, 24010, 36010])
        np.testing.assert_allclose(y[0, [12010, 24010, 36010]], [1.0, 0.5, 0.25])

    def test_in_a_cycle_it_takes_off_what_the_host_adds(self):
        x = np.zeros((2, RATE), np.float32)
        x[:, 10] = 1.0
        y = run_processor(Delay(), replace(SPEC, feedback=256), x, {"time": 0.25, "feedback": 0.5})
        np.testing.assert_array_equal(np.nonzero(y[0])[0], [11754, 23754, 35754, 47754])

    def test_put_in_while_something_sounds_its_echo_begins_without_a_step(self):
        delay, y = Delay(), np.zeros((2, 1024), np.float32)
        cells = prepare(delay, StreamSpec(RATE, 1024, 2), {"time": 0.005, "feedback": 0.0})
        cells.render(RATE, 1024)
        x = np.full((2, 1024), 0.5, np.float32)
        delay.process(IO((x,), (y,), cells, BlockTime(RATE, 2.0, 120.0, True), 1024))
        np.testing.assert_array_equal(y[:, 500:], 0.5)
        assert 0.0 < steepest(y) < 0.01

    def test_a_change_of_time_does_not_click(self):
        x = sine(150, RATE)
        y = run_processor(
            Delay(), SPEC, x, {"time": 0.1, "feedback": 0.0}, [(20000, "time", 0.3371), (20100, "time", 0.021)]
        )
        settled = y[:, 5000:]
        assert steepest(settled) < 1.5 * steepest(x)
        np.testing.assert_array_equal(y[:, -2000:], x[:, -2000 - 1008 : -1008])


class TestPan:
    @pytest.mark.parametrize("place", [-1.0, -0.6, 0.0, 0.3, 1.0])
    def test_power_stays(self, place):
        y = run_processor(Pan(), SPEC, np.ones((2, 256), np.float32), {"place": place})
        np.testing.assert_allclose(np.square(y).sum(axis=0), 2.0, rtol=1e-5)

    def test_sides_and_middle(self):
        x = noise(500)
        np.testing.assert_array_equal(run_processor(Pan(), SPEC, x), x)
        assert not run_processor(Pan(), SPEC, x, {"place": -1.0})[1].any()
        assert not run_processor(Pan(), SPEC, x, {"place": 1.0})[0].any()

    def test_mono_passes(self):
        x = noise(500, channels=1)
        np.testing.assert_array_equal(run_processor(Pan(), StreamSpec(RATE, 256, 1), x, {"place": 1.0}), x)


def test_mix_adds_each_at_its_level():
    a, b, d = noise(700), noise(700, seed=2), sine(900, 700)
    y = run_processor(Mix(), SPEC, {"a": a, "b": b, "d": d}, {"a": 0.5, "d": 2.0})
    np.testing.assert_allclose(y, 0.5 * a + b + 2 * d, atol=1e-6)


def test_meter_passes_every_bit_and_tells_peak_and_rms():
    x = sine(1000, RATE // 5, level=0.5)
    done = render(Meter(), SPEC, x)
    np.testing.assert_array_equal(done.audio[0], x)
    assert done.reports["peak"] == pytest.approx(-6.02, abs=0.05)
    assert done.reports["rms"] == pytest.approx(-9.03, abs=0.05)


def test_a_meter_that_is_reset_has_heard_nothing():
    meter = Meter()
    render(meter, SPEC, sine(1000, RATE // 5))
    meter.prepare = lambda spec: meter.reset()
    assert render(meter, SPEC, np.zeros((2, 100), np.float32)).reports == {"peak": -120.0, "rms": -120.0}


def test_meter_tells_silence_as_its_floor():
    assert render(Meter(), SPEC, np.zeros((2, 9000), np.float32)).reports == {"peak": -120.0, "rms": -120.0}


class TestLimiter:
    @pytest.mark.parametrize("rate", [44100, 48000, 96000])
    def test_quiet_sound_passes_bit_for_bit_at_its_latency(self, rate):
        limiter = Limiter()
        x = np.clip(noise(9000), -0.89, 0.89)
        y = run_processor(limiter, StreamSpec(rate, 256, 2), x)
        assert 0 < limiter.latency <= 0.002 * rate
        np.testing.assert_array_equal(y[:, limiter.latency :], x[:, : -limiter.latency])

    def test_nothing_goes_over_the_ceiling(self):
        x = noise(RATE, level=3.0)
        x[:, 20000:30000] *= 0.01
        x[0, 25000] = 900.0
        for ceiling in (0.0, -1.0, -20.0):
            y = run_processor(Limiter(), SPEC, x, {"ceiling": ceiling})
            assert np.abs(y).max() <= 10 ** (ceiling / 20) * (1 + 1e-6)
            assert np.abs(y).max() <= 1.0

    def test_a_loud_tone_keeps_its_shape_and_lets_go_again(self):
        x = sine(440, 2 * RATE, level=4.0)
        x[:, RATE // 2 :] *= 0.1
        limiter = Limiter()
        y = run_processor(limiter, SPEC, x, {"release": 0.05})
        loud = y[0, 8000:20000]
        spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud)))) ** 2
        peak = spectrum.argmax()
        assert 1.0 - spectrum[peak - 5 : peak + 6].sum() / spectrum.sum() < 1e-4
        np.testing.assert_array_equal(y[:, -4000:], x[:, -4000 - limiter.latency : -limiter.latency])

    def test_it_lets_go_as_slowly_as_release_says(self):
        x = np.full((2, 2 * RATE), 0.5, np.float32)
        x[:, 1000] = 2.0
        y = run_processor(Limiter(), SPEC, x, {"release": 0.1, "ceiling": 0.0})[0]
        reduction = 1.0 - y / 0.5
        one, later = reduction[1000 + 200], reduction[1000 + 200 + RATE // 10]
        assert one > 0.45
        assert later == pytest.approx(one / np.e, rel=0.01)


class TestClick:
    def test_sounds_on_the_very_sample(self):
        at = sorted(set(np.random.default_rng(2).integers(0, RATE, 500).tolist()))
        y = run_processor(
            Click(), SPEC, np.zeros((2, RATE), np.float32), {"level": 0.5}, [(n, "fire", True) for n in at]
        )
        np.testing.assert_array_equal(np.nonzero(y[0])[0], at)
        assert (y[:, at] == 0.5).all()

    def test_a_tick_begins_there_and_ends(self):
        y = run_processor(Click(), SPEC, np.zeros((2, 4000), np.float32), {"length": 0.02}, [(777, "fire", True)])
        sounding = np.nonzero(y[0])[0]
        assert sounding[0] == 777
        assert y[0, 777] == np.float32(0.8)
        assert sounding[-1] < 777 + 960


class TestTone:
    def test_a_sine_of_its_pitch_and_level(self):
        y = run_processor(Tone(), SPEC, np.zeros((2, RATE), np.float32), {"frequency": 1000.0, "level": 0.5})
        np.testing.assert_allclose(y, sine(1000, RATE, 0.5), atol=1e-5)

    def test_noise_is_white_and_its_seed_its_own(self):
        quiet = np.zeros((2, RATE), np.float32)
        one, same, other = (
            run_processor(Tone(), SPEC, quiet, {"kind": "noise", "level": 1.0, "seed": seed}) for seed in (3, 3, 4)
        )
        np.testing.assert_array_equal(one, same)
        for a, b in ((one[0], other[0]), (one[0], one[1]), (one[0, :-1], one[0, 1:])):
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
        assert db(one) == pytest.approx(20 * np.log10(1 / np.sqrt(3)), abs=0.1)
