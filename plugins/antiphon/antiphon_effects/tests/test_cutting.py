"""Granular, stutter, resonator, and what an LFO or the beat modulates: what is heard."""

import numpy as np
import pytest

from antiphon.api import Event
from antiphon.testing import render, run_processor
from antiphon_effects.granular import Granular
from antiphon_effects.pingpong import Pingpong
from antiphon_effects.resonator import Resonator
from antiphon_effects.stutter import Stutter
from antiphon_effects.swept import Chorus, Flanger, Phaser
from antiphon_effects.tests.measure import RATE, SPEC, db, hertz_of, impulse, noise, response, roughness, sine

TONES = np.array([50.0, 200.0, 500.0, 1000.0, 2345.0, 5000.0, 8000.0])


def decibels(h):
    return np.maximum(20 * np.log10(np.abs(h) + 1e-12), -100.0)


@pytest.mark.parametrize("feedback", [0.0, 0.7, -0.7])
def test_a_flanger_that_stands_is_the_comb_of_its_formula(feedback):
    y = run_processor(Flanger(), SPEC, impulse(1.0), {"delay": 0.002, "depth": 0.0, "feedback": feedback})[0]
    z = np.exp(-2j * np.pi * TONES / RATE * 96)
    np.testing.assert_allclose(response(y, TONES), decibels(0.5 + 0.5 * z / (1 - feedback * z)), atol=0.1)


@pytest.mark.parametrize("stages", [2, 6, 12])
def test_a_phaser_that_stands_is_the_chain_of_its_formula(stages):
    settings = {"stages": stages, "centre": 1000.0, "depth": 0.0, "feedback": 0.0}
    y = run_processor(Phaser(), SPEC, impulse(1.0), settings)[0]
    t = np.tan(np.pi * 1000.0 / RATE)
    a, z = (t - 1) / (t + 1), np.exp(-2j * np.pi * TONES / RATE)
    np.testing.assert_allclose(
        np.maximum(response(y, TONES), -100.0), decibels(0.5 + 0.5 * ((a + z) / (1 + a * z)) ** stages), atol=0.1
    )


def test_a_phaser_moves_as_far_as_asked():
    """The notch of two stages is at their frequency, which swings one octave either way."""
    x = noise(4.0)
    y = run_processor(Phaser(), SPEC, x, {"stages": 2, "centre": 1000.0, "depth": 1.0, "rate": 0.25, "feedback": 0.0})
    low, high = [], []
    for at in range(0, 4 * RATE - 4096, 4096):
        power = [np.abs(np.fft.rfft(s[0, at : at + 4096] * np.hanning(4096))) ** 2 for s in (y, x)]
        ratio = np.convolve(power[0], np.ones(9), "same") / np.convolve(power[1], np.ones(9), "same")
        notch = (np.argmin(ratio[20:300]) + 20) * RATE / 4096
        low.append(notch)
        high.append(notch)
    assert min(low) == pytest.approx(500.0, rel=0.12)
    assert max(high) == pytest.approx(2000.0, rel=0.12)


def test_a_vibrato_bends_the_pitch_as_its_formula_says():
    y = run_processor(Chorus(), SPEC, sine(1000.0, 3.0), {"mix": 1.0, "depth": 0.0, "delay": 0.01})[:, RATE:]
    assert db(y) - db(sine(1000.0)) == pytest.approx(20 * np.log10(3**0.5), abs=0.1)
    settings = {"mix": 1.0, "depth": 0.004, "delay": 0.01, "rate": 2.0, "spread": 0.0}
    one = type("One", (Chorus,), {"voices": 1})
    y = run_processor(one(), SPEC, sine(1000.0, 2.0), settings)[0, RATE:]
    zeros = np.nonzero((y[:-1] < 0) & (y[1:] >= 0))[0]
    exact = zeros + y[zeros] / (y[zeros] - y[zeros + 1])
    pitch = RATE / np.diff(exact)
    # the parabolas' steepest slope: 8 turns' widths a turn, of half the depth
    assert pitch.max() == pytest.approx(1000.0 * (1 + 0.5 * 0.004 * 8 * 2.0), rel=0.003)
    assert pitch.min() == pytest.approx(1000.0 * (1 - 0.5 * 0.004 * 8 * 2.0), rel=0.003)


def test_a_chorus_keeps_the_level_and_parts_the_sides():
    x = noise(2.0)
    x[1] = x[0]
    y = run_processor(Chorus(), SPEC, x)
    assert db(y) - db(x) == pytest.approx(-3.0, abs=1.0)
    assert np.corrcoef(y)[0, 1] < 0.9


class TestPingpong:
    PLAIN = {"flutter": 0.0, "lowcut": 10.0, "highcut": 20000.0}  # noqa: RUF012

    def test_echoes_fall_on_the_beat_and_go_from_side_to_side(self):
        """120 beats a minute: three quarters of a beat are 18,000 frames."""
        y = run_processor(Pingpong(), SPEC, impulse(2.0, 100, 0.1), {"feedback": 0.5, **self.PLAIN})
        places = [np.argmax(np.abs(y[side, a : a + 17000])) + a for side, a in ((0, 10000), (1, 30000), (0, 46000))]
        assert places == [18100, 36100, 54100]
        assert not y[1, :30000].any()
        np.testing.assert_allclose(np.abs(y[0, 18100]), 0.1, rtol=0.01)

    def test_full_feedback_grows_to_the_tape_and_no_further(self):
        x = np.zeros((2, 20 * RATE), np.float32)
        x[:, :2400] = noise(0.05)
        y = run_processor(Pingpong(), SPEC, x, {"beats": 0.0, "time": 0.05, "feedback": 1.1})
        assert np.abs(y).max() < 2.0
        assert db(y[:, -RATE:]) > -30.0

    def test_echoes_darken(self):
        y = run_processor(Pingpong(), SPEC, impulse(2.0, 0, 0.5), {"feedback": 0.9, "highcut": 3000.0, "cross": 0.0})[0]
        parts = [y[18000 * k - 500 : 18000 * k + 2000] for k in (1, 4)]
        bright = [response(p, 8000.0)[0] - response(p, 500.0)[0] for p in parts]
        assert bright[1] < bright[0] - 15.0

    def test_a_new_tempo_bends_it_to_the_new_time(self):
        y = run_processor(
            Pingpong(),
            SPEC,
            sine(300.0, 3.0, 0.1),
            {"feedback": 0.0, "beats": 0.5, **self.PLAIN},
            [(RATE, "beats", 1.0)],
        )[0]
        assert np.abs(np.diff(y[RATE:])).max() < 2 * np.abs(np.diff(sine(300.0, 1.0, 0.1)[0])).max()

    def test_without_cross_each_side_has_its_own(self):
        x = impulse(1.0, 0, 0.1)
        x[1] = 0.0
        y = run_processor(Pingpong(), SPEC, x, {"cross": 0.0, "feedback": 0.8, **self.PLAIN})
        assert y[0].any()
        assert not y[1].any()


BEAT = RATE // 2


def pitch(y):
    return hertz_of(y[0])


def test_a_stutter_repeats_the_slice_before_the_beat_and_comes_back() -> None:
    x = np.cumsum(noise(2.0), axis=1) * 0.01
    y = run_processor(Stutter(), SPEC, x, {"beats": 0.25}, [(BEAT - 2000, "on", True), (2 * BEAT + 77, "on", False)])
    part = BEAT // 4
    np.testing.assert_array_equal(y[:, :BEAT], x[:, :BEAT])
    slice_ = x[:, BEAT - part : BEAT]
    inner = slice(400, part - 400)
    for n in range(4):
        np.testing.assert_allclose(y[:, BEAT + n * part : BEAT + (n + 1) * part][:, inner], slice_[:, inner], atol=1e-6)
    np.testing.assert_array_equal(y[:, 2 * BEAT + 77 + 200 :], x[:, 2 * BEAT + 77 + 200 :])


def test_a_stutter_does_not_click_and_decays() -> None:
    x = sine(200.0, 2.0)
    y = run_processor(Stutter(), SPEC, x, {"beats": 0.19, "decay": 0.5}, [(1000, "on", True), (80000, "on", False)])
    assert roughness(y) < 0.01, "a cut without a fade has 0.5"
    step = round(0.19 * BEAT)
    begin = 3 * step
    levels = [np.abs(y[:, begin + n * step + 300 : begin + (n + 1) * step - 300]).max() for n in range(4)]
    assert levels[1] / levels[0] == pytest.approx(0.5, abs=0.03)
    assert levels[2] / levels[0] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("hertz", "damping"), [(55.0, 0.0), (55.0, 0.6), (220.0, 0.0), (220.0, 0.6), (880.0, 0.6), (2000.0, 0.0)]
)
def test_a_resonator_rings_in_tune_for_its_decay(hertz, damping) -> None:
    x = np.zeros((2, 2 * RATE), np.float32)
    x[:, 10:12] = 0.5
    y = run_processor(Resonator(), SPEC, x, {"frequency": hertz, "damping": damping, "decay": 1.0})
    ratio = pitch(y[:, 100:6100]) / hertz
    assert abs(1200 * np.log2(ratio / round(ratio))) < 5.0, "within 5 cents of it, or of a partial"
    if hertz < 300.0 and not damping:
        early, late = (np.sqrt(np.mean(y[:, a : a + 4800] ** 2)) for a in (4800, 4800 + RATE // 2))
        assert 20 * np.log10(early / late) == pytest.approx(30.0, abs=6.0)


def test_a_resonator_takes_its_pitch_from_notes_on_their_sample() -> None:
    x = np.zeros((2, RATE), np.float32)
    x[:, 5000:5002] = 0.5
    y = render(Resonator(), SPEC, x, {"damping": 0.1}, notes=[Event("on", 1234, 69, 0.8)]).audio[0]
    assert pitch(y[:, 6000:]) == pytest.approx(440.0, rel=0.002)
    assert pitch(
        render(Resonator(), SPEC, x, {"follow": False}, notes=[Event("on", 1234, 69, 0.8)]).audio[0][:, 6000:]
    ) == pytest.approx(220.0, rel=0.002)


def test_grains_have_the_pitch_that_is_asked_for_and_freeze_holds() -> None:
    x = sine(440.0, 2.0)
    steady = {"spread": 0.0, "density": 40.0, "size": 0.2}
    for semitones in (-12, 0, 7):
        y = run_processor(Granular(), SPEC, x, {**steady, "pitch": semitones})
        assert pitch(y[:, RATE:]) == pytest.approx(440.0 * 2 ** (semitones / 12), rel=0.02)
    x[:, RATE:] = 0.0
    gone = run_processor(Granular(), SPEC, x, steady)
    held = run_processor(Granular(), SPEC, x, steady, [(RATE, "freeze", True)])
    assert not gone[:, -RATE // 4 :].any()
    assert np.sqrt(np.mean(held[:, -RATE // 4 :] ** 2)) > 0.1
    one, two = (run_processor(Granular(), SPEC, noise(0.3), {"seed": n}) for n in (1, 2))
    assert not np.array_equal(one, two)
