"""Drive, bitcrush, tremolo, ring modulation, width and dynamics: what each does, measured."""

import math

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.testing import render, run_processor
from antiphon_effects.bitcrush import Bitcrush
from antiphon_effects.compressor import Compressor, Gate
from antiphon_effects.drive import LATENCY, Drive
from antiphon_effects.shared import effects_exp, effects_log, effects_sine
from antiphon_effects.tests.measure import RATE, SPEC, db, noise, response, sine
from antiphon_effects.tremolo import Ringmod, Tremolo, Width


def test_arithmetic_for_vectors_is_that_of_the_library():
    for x in np.geomspace(1e-6, 1e6, 500):
        assert effects_log(x) == pytest.approx(math.log(x), rel=1e-13, abs=1e-13)
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


def lines(y, hertz):
    """Amplitudes of whole hertz in a second of y, and of the loudest other line below 20 kHz."""
    spectrum = np.abs(np.fft.rfft(y.astype(np.float64)))[:20001] / (RATE / 2)
    others = spectrum.copy()
    others[[0, *hertz]] = 0.0
    return spectrum[list(hertz)], others.max()


class TestDrive:
    # 4999 Hz, so that an alias does not fall on a harmonic
    @pytest.mark.parametrize(
        ("curve", "drive", "below"),
        [("soft", 12, 100), ("soft", 36, 85), ("hard", 36, 85), ("fold", 24, 100), ("fold", 36, 80)],
    )
    def test_aliases_of_a_high_sine_are_80_db_below_it(self, curve, drive, below):
        y = run_processor(Drive(), SPEC, sine(4999.0, 1.5, 1.0), {"curve": curve, "drive": float(drive), "level": 0.0})
        tones, alias = lines(y[0, -RATE:], (4999, 9998, 14997, 19996))
        assert 20 * np.log10(alias / tones.max()) < -below

    @pytest.mark.parametrize("curve", ["soft", "hard", "fold"])
    def test_its_curve(self, curve):
        """A slow sine comes out as the formula has it."""
        x = sine(50.0, 0.5, 1.0)
        y = run_processor(Drive(), SPEC, x, {"curve": curve, "drive": 12.0, "level": 0.0})[0, LATENCY["8"] :]
        u = x[0, : -LATENCY["8"]].astype(np.float64) * 10 ** (12 / 20)
        wanted = {"soft": u / np.sqrt(1 + u * u), "hard": np.clip(u, -1, 1), "fold": np.sin(u)}[curve]
        # a corner rings, as everything with a limited band does
        np.testing.assert_allclose(y[2000:], wanted[2000:], atol=5e-3 if curve == "hard" else 1e-3)

    @pytest.mark.parametrize("curve", ["soft", "hard", "fold"])
    @pytest.mark.parametrize(("times", "treble"), [("8", -0.12), ("4", -0.76), ("2", -3.2), ("1", 0.0)])
    def test_a_soft_sound_passes_at_its_latency_and_flat_to_18_khz_but_for_what_the_curve_takes(
        self, curve, times, treble
    ):
        x = np.zeros((2, 4000), np.float32)
        x[:, 100] = 1e-4
        settings = {"curve": curve, "drive": 0.0, "level": 0.0, "oversampling": times}
        drive = Drive()
        y = run_processor(drive, SPEC, x, settings)[0] * 1e4
        assert np.argmax(y) == 100 + LATENCY[times] == 100 + drive.latency
        np.testing.assert_allclose(response(y, [20.0, 1000.0]), 0.0, atol=0.03)
        np.testing.assert_allclose(response(y, [18000.0]), treble, atol=0.1)

    def test_aliases_by_oversampling(self):
        """A high sine at 12 dB, and its loudest alias."""
        for times, below in (("1", 10), ("2", 90), ("4", 130), ("8", 140)):
            settings = {"drive": 12.0, "level": 0.0, "oversampling": times}
            y = run_processor(Drive(), SPEC, sine(4999.0, 1.5, 1.0), settings)
            tones, alias = lines(y[0, -RATE:], (4999, 9998, 14997, 19996))
            assert below < -20 * np.log10(alias / tones.max()) < below + 30


class TestBitcrush:
    def test_bits(self):
        y = run_processor(Bitcrush(), SPEC, sine(100.0), {"bits": 4.0, "rate": 192000.0})
        np.testing.assert_array_equal(y, np.floor(sine(100.0).astype(np.float64) * 8 + 0.5) / 8)

    def test_rate(self):
        y = run_processor(Bitcrush(), SPEC, noise(), {"bits": 24.0, "rate": 6000.0})
        held = y.reshape(2, -1, 8)
        assert (held == held[:, :, :1]).all()
        np.testing.assert_allclose(held[:, :, 0], noise()[:, ::8], atol=1e-6)


class TestTremolo:
    def test_rate_and_depth(self):
        x = np.ones((2, 2 * RATE), np.float32)
        y = run_processor(Tremolo(), SPEC, x, {"rate": 4.0, "depth": 0.6})
        np.testing.assert_allclose([y.max(), y.min()], [1.0, 0.4], atol=1e-3)
        assert np.argmax(np.abs(np.fft.rfft(y[0] - y[0].mean()))) == 8

    def test_by_the_clock(self):
        """The clock of a test has 120 beats a minute: a turn in two beats lasts a second."""
        y = run_processor(Tremolo(), SPEC, np.ones((2, 2 * RATE), np.float32), {"beats": 2.0, "depth": 1.0})
        np.testing.assert_allclose(y[0], 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(2 * RATE) / RATE), atol=1e-5)

    def test_spread_moves_it_from_side_to_side(self):
        y = run_processor(Tremolo(), SPEC, np.ones((2, RATE), np.float32), {"spread": 1.0, "depth": 1.0})
        np.testing.assert_allclose(y.sum(axis=0), 1.0, atol=1e-5)


class TestRingmod:
    def test_sum_and_difference(self):
        y = run_processor(Ringmod(), SPEC, sine(1000.0, 1.0, 1.0), {"frequency": 300.0})
        tones, other = lines(y[0], (700, 1300))
        np.testing.assert_allclose(tones, 0.5, atol=1e-3)
        assert other < 1e-3

    def test_another_sound_as_the_carrier(self):
        x, carrier = sine(1000.0), noise()
        y = run_processor(Ringmod(), SPEC, {"in": x, "carrier": carrier}, {"source": "carrier"})
        np.testing.assert_allclose(y, x * carrier, atol=1e-6)


class TestWidth:
    def test_one_changes_no_bit_that_matters_and_0_is_mono(self):
        x = noise()
        np.testing.assert_allclose(run_processor(Width(), SPEC, x), x, atol=1e-7)
        mono = run_processor(Width(), SPEC, x, {"width": 0.0})
        np.testing.assert_allclose(mono[0], mono[1], atol=1e-6)
        np.testing.assert_allclose(mono[0], x.mean(axis=0), atol=1e-6)

    def test_two_doubles_the_side_and_leaves_the_middle(self):
        x = noise()
        y = run_processor(Width(), SPEC, x, {"width": 2.0})
        np.testing.assert_allclose(y.sum(axis=0), x.sum(axis=0), atol=1e-6)
        np.testing.assert_allclose(y[0] - y[1], 2 * (x[0] - x[1]), atol=1e-6)

    def test_bass_is_mono(self):
        for hertz, wide in ((40.0, False), (2000.0, True)):
            x = sine(hertz, 1.0)
            x[1] *= -1
            y = run_processor(Width(), SPEC, x, {"bass": 250.0})[:, RATE // 2 :]
            assert (db(y) - db(x) > -1.0) == wide
            assert wide or db(y) - db(x) < -25.0

    def test_mono_passes(self):
        x = noise(channels=1)
        np.testing.assert_array_equal(run_processor(Width(), StreamSpec(RATE, 256, 1), x, {"width": 2.0}), x)
