"""Pitch shift: what it makes of tones, chords, voices, noise and silence."""

from itertools import product

import numpy as np
import pytest
from tests.each import each

from antiphon.api import StreamSpec
from antiphon.testing import run_processor
from antiphon_effects.pitch import Pitch
from antiphon_effects.tests.measure import RATE, SPEC, db, hertz_of, noise, sine


def shifted(x, spec=SPEC, **settings):
    processor = Pitch()
    return run_processor(processor, spec, x, settings)[:, processor.latency :]


@pytest.mark.parametrize(
    ("semitones", "window"),
    [*product((-24.0, 12.0), ("short", "long")), (-7.0, "short"), (-0.5, "long"), (3.5, "short"), (7.0, "long")],
)
def test_a_tone_has_the_pitch_asked_for_and_its_level(semitones, window):
    for hertz in (220.0, 997.0):
        x = sine(hertz, 1.2)
        y = shifted(x, semitones=semitones, window=window)[0, 8192:]
        cents = 1200 * np.log2(hertz_of(y) / hertz) - 100 * semitones
        assert abs(cents) < 2.0
        assert db(y) == pytest.approx(db(x), abs=0.1)


def test_a_tone_stays_one_line():
    """Sidebands of the windows, which lie at multiples of 94 Hz, are 60 dB down."""
    y = shifted(sine(1000.0, 2.0), semitones=3.3)[0, 8192 : 8192 + 65536]
    power = np.abs(np.fft.rfft(y * np.blackman(65536))) ** 2
    line = np.argmax(power)
    assert 10 * np.log10((power.sum() - power[line - 6 : line + 7].sum()) / power.sum()) < -60.0


def test_every_note_of_a_chord_goes_up():
    notes = 220.0 * 2 ** (np.array([0, 4, 7, 12]) / 12)
    t = np.arange(2 * RATE) / RATE
    x = sum(0.1 / k * np.sin(2 * np.pi * k * f * t) for f in notes for k in range(1, 5))
    y = shifted(np.tile(x, (2, 1)).astype(np.float32), semitones=5.0)[0, 8192 : 8192 + 65536]
    power = np.abs(np.fft.rfft(y * np.hanning(65536))) ** 2
    wanted = np.unique(np.round(np.outer(notes * 2 ** (5 / 12), range(1, 5)).ravel() * 65536 / RATE).astype(int))
    near = np.zeros(len(power), bool)
    for k in wanted:
        near[k - 4 : k + 5] = True
        assert power[k - 2 : k + 3].max() > 1e-3 * power.max()
    assert 10 * np.log10(power[~near].sum() / power.sum()) < -35.0


@each("window", ["short", "long"])
def test_at_0_it_changes_nothing_a_latency_later(window):
    x = noise()
    processor = Pitch()
    y = run_processor(processor, SPEC, x, {"window": window})
    assert processor.latency == {"short": 2048, "long": 4096}[window]
    np.testing.assert_allclose(y[:, processor.latency :], x[:, : -processor.latency], atol=1e-6)


def test_a_click_stays_within_5_ms():
    for semitones in (-7.0, 7.0):
        x = np.zeros((2, RATE), np.float32)
        x[:, 20000] = 0.9
        assert abs(np.argmax(np.abs(shifted(x, semitones=semitones)[0])) - 20000) <= 240


def test_mix_is_with_the_sound_a_latency_later():
    x = noise()
    np.testing.assert_array_equal(shifted(x, semitones=7.0, mix=0.0), x[:, :-4096])


def test_left_and_right_stay_in_phase():
    x = np.stack([sine(330.0, 1.0)[0], np.roll(sine(330.0, 1.0)[0], 20)])
    y = shifted(x, semitones=4.0)[:, 8192:40000]
    turns = [np.angle(np.fft.rfft(c * np.hanning(len(c)))[np.argmax(np.abs(np.fft.rfft(c)))]) for c in y]
    wanted = 2 * np.pi * 330.0 * 20 / RATE
    assert (turns[0] - turns[1] - wanted + np.pi) % (2 * np.pi) - np.pi == pytest.approx(0.0, abs=0.02)


def test_formants_stay_where_they_are():
    """A voice: pulses of 130 Hz through resonances; a fifth up, the spectrum's middle stays only with `formants`."""
    signal = pytest.importorskip("scipy.signal")
    x = np.zeros(2 * RATE)
    x[:: RATE // 130] = 1.0
    for hertz, width in ((700.0, 110.0), (1220.0, 120.0), (2600.0, 160.0)):
        r = np.exp(-np.pi * width / RATE)
        x = signal.lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hertz / RATE), r * r], x)
    x = np.tile(0.3 * x / np.abs(x).max(), (2, 1)).astype(np.float32)

    def middle(y):
        power = np.abs(np.fft.rfft(y[0, 8192:73728] * np.hanning(65536))) ** 2
        f = np.fft.rfftfreq(65536, 1 / RATE)
        inside = (f > 200) & (f < 5000)
        return np.sum(f[inside] * power[inside]) / np.sum(power[inside])

    plain, kept = (middle(shifted(x, semitones=7.0, formants=formants)) for formants in (False, True))
    assert plain > 1.35 * middle(x)
    assert kept == pytest.approx(middle(x), rel=0.12)


@each("rate", [8000, 44100, 96000])
def test_other_rates(rate):
    x = (0.5 * np.sin(2 * np.pi * 440.0 * np.arange(2 * rate) / rate)).astype(np.float32)[None]
    y = shifted(x, StreamSpec(rate, 256, 1), semitones=7.0)[0, rate // 4 :]
    assert 1200 * np.log2(hertz_of(y, rate) / 440.0) == pytest.approx(700.0, abs=3.0)


def test_cents_are_added():
    y = shifted(sine(440.0, 1.5), semitones=1.0, cents=50.0)[0, 8192:]
    assert 1200 * np.log2(hertz_of(y) / 440.0) == pytest.approx(150.0, abs=1.0)
