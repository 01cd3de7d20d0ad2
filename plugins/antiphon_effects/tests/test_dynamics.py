"""Compressor and gate: the static curve, the times, the side input."""

import math

import numpy as np
import pytest

from antiphon.api.testing import render, run_processor
from antiphon_effects.compressor import Compressor, Gate
from antiphon_effects.shared import effects_exp, effects_log, effects_sine
from antiphon_effects.tests.measure import RATE, SPEC, db, noise, sine


def test_arithmetic_for_vectors_is_that_of_the_library():
    for x in np.geomspace(1e-6, 1e6, 500):
        assert effects_log(x) == pytest.approx(math.log(x), rel=1e-15, abs=1e-15)
        assert effects_exp(math.log(x)) == pytest.approx(x, rel=1e-14)
        assert effects_sine(x % 8.0) == pytest.approx(math.sin(2.0 * math.pi * (x % 8.0 % 1.0)), abs=2e-15)


class TestCompressor:
    @pytest.mark.parametrize("knee", [0.0, 12.0])
    @pytest.mark.parametrize("ratio", [2.0, 4.0, 100.0])
    def test_its_static_curve_is_the_published_one(self, ratio, knee):
        for level in (-60.0, -24.0, -20.0, -16.0, -6.0, 0.0):
            x = np.full((2, RATE // 2), 10 ** (level / 20), np.float32)
            y = run_processor(Compressor(), SPEC, x, {"threshold": -20.0, "ratio": ratio, "knee": knee})
            over = level + 20.0
            cut = (1 - 1 / ratio) * (over if 2 * over > knee else 0.0)
            if knee and abs(2 * over) <= knee:
                cut = (1 - 1 / ratio) * (over + knee / 2) ** 2 / (2 * knee)
            assert 20 * np.log10(y[0, -1]) == pytest.approx(level - cut, abs=0.02)

    def test_below_the_knee_it_changes_no_bit(self):
        x = np.clip(noise(level=0.02), -0.06, 0.06)
        np.testing.assert_array_equal(run_processor(Compressor(), SPEC, x, {"threshold": -20.0, "knee": 6.0}), x)

    def test_attack_and_release_are_time_constants(self):
        x = np.full((2, 2 * RATE), 0.01, np.float32)
        x[:, RATE // 2 : RATE] = 1.0
        settings = {"threshold": -20.0, "ratio": 4.0, "knee": 0.0, "attack": 0.02, "release": 0.1}
        y = run_processor(Compressor(), SPEC, x, settings)[0]
        cut = 20 * np.log10(x[0] / y)
        assert cut[RATE - 1] == pytest.approx(15.0, abs=0.01)
        rise = np.argmax(cut > 15.0 * (1 - np.exp(-1))) - RATE // 2
        assert rise == pytest.approx(0.02 * RATE, rel=0.01)
        # the release runs through the attack's filter as well, which is a fifth as slow
        fall = np.argmax(cut[RATE:] < 15.0 * np.exp(-1))
        assert 0.1 * RATE < fall < 0.125 * RATE

    def test_the_side_input_ducks(self):
        x, side = sine(400.0, 1.0), np.zeros((2, RATE), np.float32)
        side[:, RATE // 2 :] = sine(60.0, 0.5, level=1.0)
        settings = {"detector": "side", "ratio": 100.0, "threshold": -20.0}
        y = run_processor(Compressor(), SPEC, {"in": x, "side": side}, settings)
        np.testing.assert_array_equal(y[:, : RATE // 2], x[:, : RATE // 2])
        assert db(y[:, -RATE // 4 :]) - db(x[:, -RATE // 4 :]) == pytest.approx(-19.5, abs=0.7)

    def test_makeup_and_the_report(self):
        done = render(Compressor(), SPEC, np.full((2, RATE), 1.0, np.float32), {"makeup": 15.0, "knee": 0.0})
        assert done.audio[0][0, -1] == pytest.approx(1.0, abs=1e-3)
        assert done.reports["reduction"] == pytest.approx(15.0, abs=0.01)


class TestGate:
    SETTINGS = {"threshold": -30.0, "hysteresis": 10.0, "hold": 0.05, "release": 0.01, "attack": 0.0005}  # noqa: RUF012

    def test_open_it_changes_no_bit_and_closed_it_is_silent(self):
        x = sine(300.0, 1.0)
        x[:, RATE // 2 :] *= 0.001
        y = run_processor(Gate(), SPEC, x, self.SETTINGS)
        np.testing.assert_array_equal(y[:, 1000 : RATE // 2], x[:, 1000 : RATE // 2])
        assert not y[:, -RATE // 4 :].any()

    def test_between_the_thresholds_it_stays_as_it_is(self):
        middle = 10 ** (-35 / 20)
        x = sine(300.0, 1.5, level=middle)
        assert not run_processor(Gate(), SPEC, x, self.SETTINGS).any()
        x[:, RATE // 2 : RATE // 2 + 4800] *= 30.0
        y = run_processor(Gate(), SPEC, x, self.SETTINGS)
        assert not y[:, : RATE // 2].any()
        np.testing.assert_array_equal(y[:, -RATE // 4 :], x[:, -RATE // 4 :])

    def test_it_holds_and_then_closes_to_its_range(self):
        x = sine(1000.0, 1.0)
        x[:, RATE // 2 :] *= 0.001
        done = render(Gate(), SPEC, x, {**self.SETTINGS, "range": -20.0})
        y = done.audio[0]
        ratio = np.abs(y[0, RATE // 2 :]).reshape(-1, 480).max(axis=1) / np.abs(x[0, RATE // 2 :]).reshape(-1, 480).max(
            axis=1
        )
        # 42 dB of the detector's decay, then 50 ms of hold
        assert (ratio[:7] > 0.999).all()
        assert ratio[-1] == pytest.approx(0.1, rel=1e-3)
        assert done.reports["open"] == 0.0

    def test_the_side_input_opens_it(self):
        x, side = sine(300.0, 1.0, level=0.001), np.zeros((2, RATE), np.float32)
        side[:, : RATE // 2] = 0.5
        y = run_processor(Gate(), SPEC, {"in": x, "side": side}, {**self.SETTINGS, "detector": "side"})
        np.testing.assert_array_equal(y[:, 1000:20000], x[:, 1000:20000])
        assert not y[:, -RATE // 4 :].any()
