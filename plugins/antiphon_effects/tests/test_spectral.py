"""Convolution, transients, freeze, vocoder: beside scipy and their formulae."""

import numpy as np
import pytest
from tests.audio import read, write

from antiphon.api import StreamSpec
from antiphon.api.testing import run_processor
from antiphon_effects.compressor import Transient
from antiphon_effects.convolution import Convolution
from antiphon_effects.freeze import Freeze
from antiphon_effects.tests.measure import RATE, SPEC, db, noise, sine
from antiphon_effects.vocoder import Vocoder


class TestConvolution:
    @pytest.mark.parametrize(("block", "seconds"), [(64, 0.0001), (64, 0.4), (256, 0.05), (480, 0.0001), (480, 0.4)])
    def test_it_is_scipys_a_block_later(self, block, seconds, tmp_path):
        signal = pytest.importorskip("scipy.signal")
        impulse = noise(max(seconds, 1 / RATE), level=0.1, seed=2)
        path = tmp_path / "impulse.wav"
        write(path, impulse)
        impulse = read(path)[0]
        x = noise(0.6)
        processor = Convolution()
        settings = {"impulse": str(path), "normalise": False}
        y = run_processor(processor, StreamSpec(RATE, block, 2), x, settings)
        late = processor.latency
        assert late == {64: 64, 256: 256, 480: 512}[block]
        wanted = signal.fftconvolve(x.astype(np.float64), impulse.astype(np.float64), axes=1)[:, : x.shape[1] - late]
        assert np.abs(y[:, late:] - wanted).max() < 1e-5 * np.abs(wanted).max()
        assert not y[:, :late].any()

    def test_a_noise_is_as_loud_as_before(self, tmp_path):
        path = tmp_path / "impulse.wav"
        write(path, noise(0.4, level=0.01, channels=1))
        y = run_processor(Convolution(), SPEC, noise(2.0), {"impulse": str(path)})
        assert db(y[:, RATE:]) - db(noise()) == pytest.approx(0.0, abs=0.5)

    def test_without_an_impulse_it_passes(self):
        x = noise()
        y = run_processor(Convolution(), SPEC, x)
        np.testing.assert_array_equal(y[:, 256:], x[:, :-256])


class TestTransient:
    def hits(self):
        """Two decaying tones, the second 20 dB softer."""
        n = np.arange(RATE)
        one = np.sin(2 * np.pi * 400 * n / RATE) * np.exp(-n / (0.08 * RATE)) * 0.3
        return np.tile(np.concatenate([one, 0.1 * one]), (2, 1)).astype(np.float32)

    def test_attack_and_sustain_and_at_any_level(self):
        x = self.hits()
        for settings, early, late in (({"attack": 12.0}, 5.0, 0.0), ({"attack": 0.0, "sustain": 12.0}, 0.0, 5.0)):
            y = run_processor(Transient(), SPEC, x, settings)
            for at in (0, RATE):
                start, end = slice(at, at + 480), slice(at + 7200, at + 9600)
                for part, least in ((start, early), (end, late)):
                    gain = db(y[:, part]) - db(x[:, part])
                    # the first note still sounds a little where the second, soft one begins
                    assert gain > least if least else -1.0 < gain < (1.5 if at == 0 else 5.0)

    def test_a_steady_tone_and_zeros_change_nothing(self):
        x = sine(300.0, 1.0)
        y = run_processor(Transient(), SPEC, x, {"attack": 24.0, "sustain": 0.0})
        assert abs(db(y[:, RATE // 2 :]) - db(x[:, RATE // 2 :])) < 0.7
        np.testing.assert_array_equal(run_processor(Transient(), SPEC, x, {"attack": 0.0}), x)


class TestFreeze:
    def test_it_holds_the_pitch_and_the_level_and_lets_the_sound_pass(self):
        x = sine(440.0, 3.0, 0.3)
        x[:, RATE:] = 0.0
        y = run_processor(Freeze(), SPEC, x, {}, [(RATE - 100, "hold", True), (2 * RATE + RATE // 2, "hold", False)])
        np.testing.assert_array_equal(y[:, : RATE - 100], x[:, : RATE - 100])
        held = y[0, RATE + 9600 : RATE + 9600 + 32768]
        spectrum = np.abs(np.fft.rfft(held * np.hanning(32768)))
        assert np.argmax(spectrum) * RATE / 32768 == pytest.approx(440.0, abs=1.5)
        assert db(held) == pytest.approx(db(x[:, :RATE]), abs=1.0)
        frames = held[:32000].reshape(-1, 3200)
        assert np.ptp([db(f) for f in frames]) < 1.0
        assert not y[:, -9600:].any()

    def test_a_new_switch_takes_a_new_moment(self):
        x = np.concatenate([sine(440.0, 1.0, 0.3), sine(880.0, 1.0, 0.3), np.zeros((2, RATE), np.float32)], axis=1)
        changes = [(40000, "hold", True), (60000, "hold", False), (90000, "hold", True)]
        y = run_processor(Freeze(), SPEC, x, {}, changes)[0, -32768:]
        assert np.argmax(np.abs(np.fft.rfft(y * np.hanning(32768)))) * RATE / 32768 == pytest.approx(880.0, abs=1.5)


class TestVocoder:
    def test_the_carrier_speaks_where_the_sound_has_power(self):
        carrier = noise(1.0, level=0.3)
        for hertz in (300.0, 2500.0):
            y = run_processor(
                Vocoder(), SPEC, {"in": sine(hertz, 1.0, 0.3), "carrier": carrier}, {"source": "carrier", "breath": 0.0}
            )[0, RATE // 4 :]
            power = np.abs(np.fft.rfft(y)) ** 2
            f = np.fft.rfftfreq(len(y), 1 / RATE)
            inside = power[(f > hertz / 1.5) & (f < hertz * 1.5)].sum() / power.sum()
            assert inside > 0.9

    def test_its_saw_has_its_pitch_and_silence_is_silence(self):
        x = noise(1.0)
        y = run_processor(Vocoder(), SPEC, x, {"frequency": 200.0, "breath": 0.0})[0]
        spectrum = np.abs(np.fft.rfft(y[:RATE]))
        lines = spectrum[np.arange(200, 8000, 200)]
        assert (lines**2).sum() > 0.5 * (spectrum**2).sum()
        assert -30 < db(y) < -6
