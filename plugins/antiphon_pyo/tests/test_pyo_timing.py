"""Onsets and note-offs to the sample, at every offset and hop; pedal, bend, ages."""

import pytest

pytest.importorskip("pyo")

import numpy as np
from hypothesis import given, settings, strategies as st

from antiphon.api.backends.synths import INSTRUMENTS
from antiphon_pyo.tests.playing import QUIET, RATE, bend, cents, control, differs, off, on, play, rms

HOPS = (32, 48, 64, 100, 128, 256, 441, 480, 1024, 2048)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
@pytest.mark.parametrize("hop", [32, 256, 2048])
def test_an_onset_later_is_the_same_sound_later(instrument: str, hop: int) -> None:
    note = 38 if instrument == "drums" else 60
    first = play([(0, on(note))], 0.1, instrument, hop)
    assert np.abs(first[:, :64]).max() > QUIET  # the sound begins at once
    for late in (1, 17, 31, 32, 63, 255, 256, 1000, 2047, 2049):
        y = play([(late, on(note))], 0.1, instrument, hop)
        assert np.abs(y[:, :late]).max(initial=0.0) == 0.0
        assert differs(y[:, late:], first[:, : y.shape[1] - late]) == -1


@settings(max_examples=15)
@given(st.sampled_from(HOPS), st.integers(0, 3000), st.integers(1, 4000), st.integers(40, 90))
def test_note_on_and_off_to_the_sample(hop: int, begin: int, length: int, note: int) -> None:
    held = play([(begin, on(note))], 0.2, "pluck", hop)
    note_off = play([(begin, on(note)), (begin + length, off(note))], 0.2, "pluck", hop)
    assert np.abs(held[:, :begin]).max(initial=0.0) == 0.0
    # the first frames of a release differ by little: where the held one is not near a zero
    at = differs(held, note_off)
    assert begin + length <= at <= begin + length + 40


@settings(max_examples=12)
@given(st.sampled_from(HOPS), st.integers(2000, 4000))
def test_a_release_begins_at_its_frame(hop: int, at: int) -> None:
    """Of the pad, whose level is known: the loop times a ramp."""
    held = play([(0, on(60))], 0.2, "pad", hop, seed=3)
    note_off = play([(0, on(60)), (at, off(60))], 0.2, "pad", hop, seed=3)
    assert -1 < differs(held, note_off) - at < 64
    assert differs(held[:, :at], note_off[:, :at]) == -1


def test_the_cut_into_hops_is_not_heard() -> None:
    score = [(300, on(48)), (900, on(64, 0.9)), (1500, bend(0.5)), (2500, off(48)), (3000, control(7, 0.5))]
    whole = play(score, 0.2, "piano", 256)
    for hop in (32, 100, 480, 2048):
        y = play(score, 0.2, "piano", hop)
        length = min(y.shape[1], whole.shape[1])
        assert np.abs(y[:, :length] - whole[:, :length]).max() < 1e-5


def test_the_pedal_holds_and_lets_go_to_the_sample() -> None:
    held = play([(0, on(60))], 0.5)
    for lifted in (control(64, 0.2), control(121, 0.0)):  # which resets all controllers
        pedal = play([(0, control(64, 1.0)), (0, on(60)), (3000, off(60)), (12001, lifted)], 0.5)
        assert 12001 <= differs(held, pedal) < 12030
        assert rms(pedal[:, -2000:]) < rms(held[:, -2000:]) - 12
    other = play([(0, control(64, 1.0, 2)), (0, on(60)), (3000, off(60))], 0.5)
    assert 3000 <= differs(held, other) < 3030  # another channel's pedal holds nothing here


def test_a_bend_is_of_its_channel_and_of_the_reach_it_was_given() -> None:
    plain = play([(0, on(60))], 1.0, "pluck")
    for reach, value, want in ((2.0, 1.0, 2.0), (2.0, -1.0, -2.0), (12.0, 0.25, 3.0)):
        y = play([(0, bend(value)), (0, on(60))], 1.0, "pluck", bend=reach)
        assert abs(cents(y[:, 2000:], 60 + want)) <= 1.0
    assert differs(plain, play([(0, bend(1.0, 2)), (0, on(60))], 1.0, "pluck")) == -1
    late = play([(0, on(60)), (12000, bend(1.0))], 1.0, "pluck")
    assert 12000 <= differs(plain, late) < 12100
    assert abs(cents(late[:, 13000:], 62)) <= 1.0


def test_a_note_taken_up_again_goes_on_where_it_was() -> None:
    begun = play([(0, on(55, 0.8))], 1.5, "piano")
    age = RATE // 2 + 33
    again = play([(1000, on(55, 0.8, age=age))], 0.5, "piano")
    assert np.abs(again[:, :1000]).max() == 0.0
    fade = 1000 + round(0.01 * RATE)
    want = begun[:, age + fade - 1000 : age + fade - 1000 + 8000]
    assert rms(again[:, fade : fade + 8000] - want) < rms(want) - 40
    early = again[:, 1000 : 1000 + 48]
    assert np.abs(early).max() < 0.2 * np.abs(want).max()  # it fades in
    assert np.abs(play([(0, on(55, 0.8, age=100 * RATE))], 0.1, "piano")).max() == 0.0  # over long ago


def test_a_sustained_note_taken_up_again_has_no_attack() -> None:
    fresh, again = play([(0, on(60))], 0.2, "pad"), play([(0, on(60, age=RATE))], 0.2, "pad")
    assert rms(again[:, 600:2400]) > rms(fresh[:, 600:2400]) + 12
