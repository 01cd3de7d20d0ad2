"""Mono for listening: what cancels in the mean is heard all the same."""

import numpy as np
import pytest
from tests.each import each

from antiphon.signal.listening_mix import F32, ListeningMix, listening_mono
from antiphon.signal.yin import Decimator

RATE = 48000
TONE = (0.3 * np.sin(2 * np.pi * 440.0 * np.arange(2 * RATE) / RATE)).astype(np.float32)
NOISE = np.random.default_rng(1).normal(0.0, 0.1, (6, 2 * RATE)).astype(np.float32)


@each(
    "sound, wanted, cancelled",
    [
        (np.stack([TONE]), TONE, False),
        (np.stack([TONE, TONE]), TONE, False),
        (np.stack([TONE, np.zeros_like(TONE)]), TONE / 2, False),
        (NOISE, NOISE.mean(axis=0), False),
        (np.stack([TONE, -TONE]), TONE, True),
        (np.stack([TONE, -0.9 * TONE]), 0.95 * TONE, True),
        (np.stack([TONE, 0.8 * TONE, -0.9 * TONE, -TONE]), TONE, True),
    ],
)
def test_the_louder_of_mid_and_side(sound: F32, wanted: F32, cancelled: bool) -> None:
    mix = ListeningMix()
    heard = np.concatenate([mix.take(sound[:, at : at + 4096]) for at in range(0, sound.shape[1], 4096)])
    np.testing.assert_allclose(heard, wanted, atol=1e-6)
    np.testing.assert_allclose(listening_mono(sound), wanted, atol=1e-6)
    assert mix.cancelled == cancelled


def test_silence_and_a_hair_of_noise_turn_nothing() -> None:
    mix = ListeningMix()
    mix.take(np.array([[1e-5], [-1e-5]], np.float32).repeat(512, axis=1))
    assert not mix.cancelled
    assert not listening_mono(np.zeros((2, 512), np.float32)).any()


def test_a_cable_is_heard_both_ways_live() -> None:
    mix = ListeningMix(0.5 * RATE)
    levels = [
        float(np.abs(mix.take(np.stack([piece, sign * piece]))).max())
        for sign in (1, -1, 1)
        for piece in TONE.reshape(-1, 480)
    ]
    assert np.mean(np.array(levels) > 0.25) > 0.8
    assert min(levels[-50:]) > 0.25


@pytest.mark.parametrize("sign", [1, -1])
def test_the_decimator_hears_a_turned_channel(sign: int) -> None:
    """After the first hop, in any split."""
    found = []
    for size in (128, 1000):
        decimator, at, hops = Decimator(RATE), 0, []
        for begin in range(0, RATE, size):
            sound = np.stack([TONE[begin : begin + size], sign * TONE[begin : begin + size]])
            at = 0
            while at < sound.shape[1]:
                at += decimator.take(sound, at, sound.shape[1])
                if decimator.full:
                    hops.append(decimator.newest(128).copy())
                    decimator.turn()
        found.append(np.concatenate(hops))
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0][256:]).max() == pytest.approx(0.3, rel=0.01)


@each("bad", [np.nan, np.inf, 1e30])
def test_what_is_no_number_is_silence_and_changes_nothing_after_it(bad: float) -> None:
    sound = np.stack([TONE, -TONE])
    broken = sound.copy()
    broken[0, 100:110] = bad
    mix = ListeningMix()
    heard = np.concatenate([mix.take(broken[:, at : at + 4096]) for at in range(0, sound.shape[1], 4096)])
    np.testing.assert_allclose(heard[200:], TONE[200:], atol=1e-6)
    assert np.isfinite(heard).all()
