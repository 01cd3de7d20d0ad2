"""Onsets and note-offs to the sample, at every offset and hop; pedal, bend, ages; pitch and pressure of a note."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("pyo")

from antiphon.api import Event, Param
from antiphon.api.backends.synths import INSTRUMENTS
from antiphon.kernel.session.commands import Now
from antiphon.kernel.session.play import read
from antiphon.testing import centroid, level as rms
from antiphon_pyo.tests.playing import QUIET, RATE, bend, cents, control, differs, off, on, play, roughness

HOPS = (32, 48, 64, 100, 128, 256, 441, 480, 1024, 2048)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
@pytest.mark.parametrize("hop", [32, 256, 2048])
def test_an_onset_later_is_the_same_sound_later(instrument: str, hop: int) -> None:
    note = 38 if instrument == "drums" else 60
    first = play([(0, on(note))], 0.1, instrument, hop)
    assert np.abs(first[:, :64]).max() > QUIET  # the sound begins at once
    for late in (1, 31, 32, 255, 256, 2049):
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


def pitch(number: int, semitones: float, channel: int = 1) -> Event:
    return Event("pitch", 0, number, semitones, channel)


def pressure(number: int, value: float) -> Event:
    return Event("pressure", 0, number, value)


def timbre(number: int, value: float) -> Event:
    return Event("timbre", 0, number, value)


def own(**values: float) -> list[Event]:
    args = [part for name, value in values.items() for part in (name, value)]
    commands = read("keys", (Param("play", "trigger"),), ["length", 0, *args], Now())
    return [replace(command.event, offset=0) for command in commands[:-1]]


@pytest.mark.parametrize("instrument", ["pluck", "strings"])
def test_two_notes_of_one_channel_are_bent_apart(instrument: str) -> None:
    score = [(0, on(60)), (0, on(67)), (24_000, pitch(60, 0.3)), (24_000, pitch(67, -0.45))]
    y = play(score, 1.5, instrument)
    before, after = y[:, 6000:24_000], y[:, 26_000:68_000]
    for part, lower, upper in ((before, 60.0, 67.0), (after, 60.3, 66.55)):
        assert cents(part, lower) == pytest.approx(0.0, abs=6.0)
        assert cents(part, upper) == pytest.approx(0.0, abs=6.0)
    assert differs(y, play(score[:2], 1.5, instrument)) == pytest.approx(24_000, abs=40)


def test_values_before_a_note_are_the_notes_from_its_first_frame() -> None:
    bent = play([(0, pitch(60, 0.5)), (0, on(60)), (0, bend(0.25))], 0.5, "pluck")
    assert cents(bent[:, 2000:], 61.0) == pytest.approx(0.0, abs=3.0), "and the channel's bend on top"
    later = play([(0, pitch(60, 0.5)), (100, on(60)), (9000, off(60)), (12_000, on(60))], 0.8, "pluck")
    assert cents(later[:, 500:9000], 60.5) == pytest.approx(0.0, abs=4.0)
    # the next one is plain again
    assert cents(later[:, 14_000:], 60.0) == pytest.approx(0.0, abs=4.0)
    # one that begins bent is the same sound as one that is bent by the wheel from its beginning
    wheel = play([(0, bend(0.25)), (2000, on(60))], 0.5, "pluck")
    own = play([(0, pitch(60, 0.5)), (2000, on(60))], 0.5, "pluck")
    assert np.abs(wheel - own).max() < 1e-3


def test_values_of_a_note_by_name_are_its_fades_its_decay_and_its_low_pass() -> None:
    plain = play([(0, on(60)), (24_000, on(64))], 1.0, "strings")
    y = play([*((0, e) for e in own(attack=0.2, decay=0.1, lpf=300.0)), (0, on(60)), (24_000, on(64))], 1.0, "strings")
    peaks = [np.abs(y[:, at : at + 1200]).max() / np.abs(plain[:, at : at + 1200]).max() for at in (1000, 8600, 15_000)]
    assert peaks[0] < 0.3
    assert peaks[1] > 0.4
    assert peaks[2] < 1e-4, "decay without a sustainlevel ends in silence"
    assert centroid(y[:, 6000:12_000]) < 0.7 * centroid(plain[:, 6000:12_000])
    np.testing.assert_allclose(y[:, 26_000:], (plain - play([(0, on(60))], 1.0, "strings"))[:, 26_000:], atol=0.02)


def test_a_note_that_is_over_is_not_moved() -> None:
    score = [(0, on(60)), (9000, off(60))]
    plain = play(score, 0.6, "strings")
    assert differs(play([*score, (9100, pitch(60, 7.0)), (9200, timbre(60, 0.0))], 0.6, "strings"), plain) == -1


def test_pressure_is_up_to_6_db_and_timbre_moves_the_brightness_without_a_click() -> None:
    plain = play([(0, on(60))], 1.0, "strings")
    loud = play([(0, on(60)), (24_000, pressure(60, 1.0))], 1.0, "strings")
    gained = rms(loud[:, 26_000:]) - rms(plain[:, 26_000:])
    assert gained == pytest.approx(6.0, abs=0.6)
    dark = play([(0, timbre(60, 0.0)), (0, on(60))], 1.0, "strings")
    bright = play([(0, on(60)), (24_000, timbre(60, 1.0))], 1.0, "strings")
    assert centroid(dark[:, 24_000:]) < 0.7 * centroid(plain[:, 24_000:])
    assert centroid(bright[:, 26_000:]) > 1.3 * centroid(plain[:, 26_000:])
    for moved in (loud, bright):
        edge = roughness(moved[:, 23_900:24_400]).max()
        assert edge <= 3.0 * max(roughness(moved[:, 30_000:]).max(), roughness(moved[:, 12_000:23_000]).max())


def test_the_same_whatever_the_hop() -> None:
    score = [(10, on(60)), (500, pitch(60, 1.0)), (700, pressure(60, 0.7)), (3000, pitch(60, -1.0)), (5000, off(60))]
    whole = play(score, 0.25, "strings", hop=256)
    for hop in (64, 480):
        other = play(score, 0.25, "strings", hop=hop)
        size = min(whole.shape[1], other.shape[1])
        assert np.abs(other[:, :size] - whole[:, :size]).max() < 1e-4
    assert RATE * QUIET < 1.0
