"""Loudness against EBU Tech 3341 and 3342's own test signals, and in blocks of any size."""

import itertools

import numpy as np
import pytest

from antiphon_listen.loudness import Loudness

RATE = 48000


def tone(level: float, seconds: float, channels: int = 2) -> np.ndarray:
    """1 kHz at a peak level in dBFS."""
    wave = 10 ** (level / 20) * np.sin(2 * np.pi * 1000.0 * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave[None].astype(np.float32), channels, axis=0)


def measured(sound: np.ndarray, sizes=(4800,)) -> dict:
    run = Loudness().begin(RATE, len(sound))
    at = 0
    for size in itertools.cycle(sizes):
        if at >= sound.shape[1]:
            break
        run.feed(sound[:, at : at + size])
        at += size
    return dict(run.result())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((-23.0, 20.0),), -23.0),
        (((-33.0, 20.0),), -33.0),
        (((-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)), -23.0),
        (((-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)), -23.0),
        (((-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)), -23.0),
    ],
)
def test_integrated_loudness_of_tech_3341(parts, expected) -> None:
    sound = np.concatenate([tone(*part) for part in parts], axis=1)
    assert measured(sound)["loudness"] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("quiet", "expected"), [(-30.0, 10.0), (-15.0, 5.0), (-40.0, 20.0)])
def test_loudness_range_of_tech_3342(quiet, expected) -> None:
    sound = np.concatenate([tone(-20.0, 20.0), tone(quiet, 20.0)], axis=1)
    assert measured(sound)["loudness_range"] == pytest.approx(expected, abs=1.0)


def test_surround_channels_are_weighted_and_low_frequencies_left_out() -> None:
    six = np.zeros((6, 10 * RATE), np.float32)
    six[3] = tone(-10.0, 10.0, 1)
    assert measured(six)["loudness"] == -70.0
    six[:] = 0
    six[4] = tone(-23.0, 10.0, 1)
    mono = measured(tone(-23.0, 10.0, 1))["loudness"]
    assert measured(six)["loudness"] == pytest.approx(mono + 10 * np.log10(1.41), abs=0.05)


def test_true_peak_is_between_the_samples() -> None:
    phase = 2 * np.pi * RATE / 4 * np.arange(RATE) / RATE + np.pi / 4
    wave = np.sin(phase).astype(np.float32)[None]
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-3.01, abs=0.01)
    assert measured(wave)["true_peak"] == pytest.approx(0.0, abs=0.3)


def test_blocks_of_any_size_give_the_same() -> None:
    rng = np.random.default_rng(1)
    sound = (0.2 * rng.standard_normal((2, 5 * RATE))).astype(np.float32)
    whole = measured(sound, (sound.shape[1],))
    for sizes in ((1000,), (1, 4799, 70000)):
        for name, value in measured(sound, sizes).items():
            assert value == pytest.approx(whole[name], abs=0.011), name


def test_silence_and_little_sound_have_values() -> None:
    assert measured(np.zeros((1, 4 * RATE), np.float32)) == {
        "loudness": -70.0,
        "loudness_range": 0.0,
        "true_peak": None,
    }
    short = measured(tone(-23.0, 0.1, 1))
    assert short["loudness_range"] is None
    assert -30.0 < short["loudness"] < -20.0
    assert Loudness().begin(RATE, 2).result()["loudness"] == -70.0
