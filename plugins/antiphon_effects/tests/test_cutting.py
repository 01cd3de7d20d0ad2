"""Granular, stutter and resonator: what is heard."""

import numpy as np
import pytest

from antiphon.api import Event
from antiphon.api.testing import render, run_processor
from antiphon_effects.granular import Granular
from antiphon_effects.resonator import Resonator
from antiphon_effects.stutter import Stutter
from antiphon_effects.tests.measure import RATE, SPEC, hertz_of, noise, roughness, sine

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
