"""Each degradation does what it is named for, measured in the sound."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_models.material.degradation import (
    add_noise,
    codec,
    coloured_noise,
    compress,
    degrade,
    equalise,
    phone,
    room,
)

RATE = 22050


def tone(seconds: float = 1.0, pitch: float = 500.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def share(sound: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    places = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(power[(places > low) & (places < high)].sum() / power.sum())


def test_noise_has_its_colour_and_its_level() -> None:
    rng = np.random.default_rng(1)
    white, pink, brown = (coloured_noise(RATE, slope, rng).astype(np.float32) for slope in (0.0, 1.0, 2.0))
    assert share(white, 0, 1000) < 0.15 < share(pink, 0, 1000) < share(brown, 0, 1000)
    sound = tone()
    added = add_noise(sound, white, 20.0) - sound
    assert 10 * np.log10((sound**2).mean() / (added**2).mean()) == pytest.approx(20.0, abs=0.1)


def test_a_room_rings_on() -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    wet = room(click, np.random.default_rng(2), RATE)
    assert wet[100] == pytest.approx(1.0, abs=0.01)
    assert (wet[150:] ** 2).sum() == pytest.approx(1.0, abs=0.1)
    assert (room(click, np.random.default_rng(2), RATE, 0.1)[150:] ** 2).sum() == pytest.approx(0.01, abs=0.002)


def test_the_telephone_has_its_band() -> None:
    sound = tone() + tone(pitch=5000.0) + tone(pitch=100.0)
    heard = phone(sound, RATE)
    assert len(heard) == len(sound)
    assert share(heard, 300, 3500) > 0.97


@pytest.mark.parametrize("kind", ["mp3", "ogg"])
def test_a_codec_keeps_the_tone_and_its_length(kind: str) -> None:
    sound = tone()
    heard = codec(sound, RATE, kind, 0.9)
    assert len(heard) == len(sound)
    assert share(heard, 480, 520) > 0.95
    assert not np.array_equal(heard, sound)


def test_equaliser_and_compressor() -> None:
    rng = np.random.default_rng(3)
    white = coloured_noise(RATE, 0.0, rng).astype(np.float32)
    curve = 20 * np.log10(np.abs(np.fft.rfft(equalise(white, rng, RATE))) / np.abs(np.fft.rfft(white)))
    assert 4.0 < np.ptp(curve[50:]) < 18.1
    sound = tone() * np.linspace(0.1, 1.0, RATE, dtype=np.float32)
    squeezed = compress(sound, np.random.default_rng(1))
    assert np.abs(squeezed).max() == pytest.approx(np.abs(sound).max(), rel=0.02)
    assert (squeezed**2).mean() > (sound**2).mean()


def test_chains_are_drawn_by_seed() -> None:
    sound = tone(0.5)
    once, again = ([degrade(sound, np.random.default_rng(n), RATE) for n in range(24)] for _ in range(2))
    for first, second in zip(once, again, strict=True):
        assert np.array_equal(first, second)
        assert np.isfinite(first).all()
        assert len(first) == len(sound)
    assert 2 < sum(np.array_equal(each, sound) for each in once) < 14
