"""Equaliser, room, convolution, transients, freeze, vocoder: beside scipy and their formulae."""

import numpy as np
import pytest
import soundfile

from antiphon.api import StreamSpec
from antiphon.testing import read, run_processor, write
from antiphon_effects.compressor import Transient
from antiphon_effects.convolution import Convolution
from antiphon_effects.eq import Eq
from antiphon_effects.freeze import Freeze
from antiphon_effects.reverb import Reverb
from antiphon_effects.tests.measure import RATE, SPEC, db, impulse, noise, sine
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

    @pytest.mark.parametrize("rate", [24000, 44100, 48000, 96000])
    def test_a_response_of_another_rate_keeps_the_level(self, tmp_path, rate):
        click = np.zeros((1, rate // 10), np.float32)
        click[0, rate // 100] = 1.0
        soundfile.write(tmp_path / "impulse.wav", click[0], rate, "FLOAT")
        settings = {"impulse": str(tmp_path / "impulse.wav"), "normalise": False}
        y = run_processor(Convolution(), SPEC, sine(1000.0, 0.5), settings)
        assert abs(db(y[:, RATE // 4 :]) - db(sine(1000.0, 0.5)[:, RATE // 4 :])) < 0.1

    def test_channels_that_are_left_out_are_named(self, tmp_path, caplog):
        soundfile.write(tmp_path / "impulse.wav", np.ones((100, 4), np.float32), RATE, "FLOAT")
        run_processor(Convolution(), SPEC, noise(0.1), {"impulse": str(tmp_path / "impulse.wav")})
        assert "is read without channels 3 and 4" in caplog.text

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


def cookbook(kind, hertz, gain, q):
    """b and a of Bristow-Johnson's formulae."""
    w, a = 2 * np.pi * hertz / RATE, 10 ** (gain / 40)
    c, alpha = np.cos(w), np.sin(w) / (2 * q)
    root = 2 * np.sqrt(a) * alpha
    return {
        "peak": ([1 + alpha * a, -2 * c, 1 - alpha * a], [1 + alpha / a, -2 * c, 1 - alpha / a]),
        "lowshelf": (
            [a * (a + 1 - (a - 1) * c + root), 2 * a * (a - 1 - (a + 1) * c), a * (a + 1 - (a - 1) * c - root)],
            [a + 1 + (a - 1) * c + root, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - root],
        ),
        "highshelf": (
            [a * (a + 1 + (a - 1) * c + root), -2 * a * (a - 1 + (a + 1) * c), a * (a + 1 + (a - 1) * c - root)],
            [a + 1 - (a - 1) * c + root, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - root],
        ),
        "lowcut": ([(1 + c) / 2, -(1 + c), (1 + c) / 2], [1 + alpha, -2 * c, 1 - alpha]),
        "highcut": ([(1 - c) / 2, 1 - c, (1 - c) / 2], [1 + alpha, -2 * c, 1 - alpha]),
        "notch": ([1, -2 * c, 1], [1 + alpha, -2 * c, 1 - alpha]),
    }[kind]


BANDS = [
    ("lowcut", 40.0, 0.0, 0.7071),
    ("lowshelf", 120.0, 6.0, 0.9),
    ("peak", 300.0, -12.0, 3.0),
    ("peak", 900.0, 9.0, 0.5),
    ("notch", 2000.0, 0.0, 8.0),
    ("peak", 6000.0, 24.0, 10.0),
    ("highshelf", 9000.0, -15.0, 0.7071),
    ("highcut", 17000.0, 0.0, 1.3),
]


def test_eight_bands_null_against_the_cookbook():
    signal = pytest.importorskip("scipy.signal")
    x = noise(0.5)
    settings = {}
    wanted = x.astype(np.float64)
    for n, (kind, hertz, gain, q) in enumerate(BANDS, 1):
        settings |= {f"kind{n}": kind, f"freq{n}": hertz, f"gain{n}": gain, f"q{n}": q}
        wanted = signal.lfilter(*cookbook(kind, hertz, gain, q), wanted, axis=1)
    y = run_processor(Eq(), SPEC, x, settings)
    assert np.abs(y - wanted).max() / np.abs(wanted).max() < 2e-6


def test_flat_it_changes_no_bit():
    x = noise()
    np.testing.assert_array_equal(run_processor(Eq(), SPEC, x), x)


def test_a_band_that_moves_stays_finite_at_its_edges():
    x = noise(0.5)
    changes = [(3000, "freq3", 20000.0), (6000, "freq3", 20.0), (9000, "q3", 0.1), (12000, "gain3", -24.0)]
    y = run_processor(Eq(), SPEC, x, {"gain3": 24.0, "q3": 20.0}, changes)
    assert np.abs(y).max() < 150.0
    assert np.abs(y[:, -4000:]).max() < 5.0


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


def test_and_at_other_rates():
    assert middle(answer(2.0, 96000, decay=1.5, damping=0.0)[0], 96000) == pytest.approx(1.5, rel=0.05)
