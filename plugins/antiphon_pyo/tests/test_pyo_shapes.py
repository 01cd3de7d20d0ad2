"""Pitch, pressure and timbre of single notes, measured."""

import pytest

pytest.importorskip("pyo")

import numpy as np

from antiphon.api import Event, Param
from antiphon.kernel.session.commands import Now
from antiphon.kernel.session.play import read
from antiphon_pyo.tests.playing import QUIET, RATE, bend, centroid, cents, differs, off, on, play, rms, roughness


def pitch(number: int, semitones: float, channel: int = 1) -> Event:
    return Event("pitch", 0, number, semitones, channel)


def pressure(number: int, value: float) -> Event:
    return Event("pressure", 0, number, value)


def timbre(number: int, value: float) -> Event:
    return Event("timbre", 0, number, value)


def own(**values: float) -> list[Event]:
    args = [part for name, value in values.items() for part in (name, value)]
    commands = read("keys", (Param("play", "trigger"),), ["length", 0, *args], Now())
    return [Event("control", 0, command.number, command.value) for command in commands[:-1]]


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
