"""Landmarks agree with their own sound at its place, and with others by chance alone."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_library.identification.matching import SoundLandmarks, agreement, is_copy, is_recording


def landmarks(seed: int, count: int = 2000, seconds: float = 60.0) -> SoundLandmarks:
    rng = np.random.default_rng(seed)
    return SoundLandmarks(np.sort(rng.uniform(0.0, seconds, count)), rng.uniform(180.0, 3400.0, count))


@pytest.mark.parametrize("speed", [1.0, 1.02])
def test_a_part_agrees_at_its_place_and_nowhere_else(speed: float) -> None:
    whole = landmarks(1)
    part = whole.between(20.0, 30.0)
    asked = SoundLandmarks((part.seconds - 20.0) / speed, part.hertz * speed)
    found = agreement(asked.placed(20.0, speed), whole)
    assert found.share > 0.99
    assert found.excess > 5.0 * max(1.0, found.beside)
    for other in (agreement(asked.placed(25.0, speed), whole), agreement(asked.placed(20.0, speed), landmarks(2))):
        assert abs(other.share) < 0.1
        assert other.excess < 3.0


def test_half_of_the_landmarks_in_noise_still_stand_out() -> None:
    whole, noise = landmarks(1), landmarks(3, 330, 10.0)
    part = whole.between(20.0, 30.0)
    kept = np.random.default_rng(4).random(len(part.seconds)) < 0.3
    seconds = np.concatenate([part.seconds[kept] - 20.0, noise.seconds])
    order = np.argsort(seconds)
    asked = SoundLandmarks(seconds[order], np.concatenate([part.hertz[kept], noise.hertz])[order])
    found = agreement(asked.placed(20.0, 1.0), whole)
    assert found.excess > 3.0 * max(1.0, found.beside)
    assert 0.2 < found.share < 0.5


def test_nothing_asked_or_nothing_known_agrees_with_nothing() -> None:
    none = SoundLandmarks(np.zeros(0), np.zeros(0))
    assert agreement(none, landmarks(1)).excess == 0.0
    assert agreement(landmarks(1), none).excess <= 0.0


def test_a_copy_is_told_from_another_recording() -> None:
    one = landmarks(1).between(20.0, 30.0)
    wavering = SoundLandmarks(one.seconds + 0.01, one.hertz * 1.002)
    assert is_copy(one, wavering)
    assert not is_copy(one, landmarks(2).between(20.0, 30.0))


def test_another_rendering_of_the_same_notes_is_no_recording_of_them() -> None:
    rng = np.random.default_rng(5)
    seconds, hertz = np.sort(rng.uniform(0.0, 10.0, 120)), rng.uniform(300.0, 3000.0, 120)
    sound = SoundLandmarks(seconds, hertz)
    heard = SoundLandmarks(seconds[::2], hertz[::2] * 1.003 * (1.0 + 0.0005 * rng.normal(size=60)))
    other = SoundLandmarks(seconds + rng.normal(scale=0.008, size=120), hertz * (1.0 + 0.003 * rng.normal(size=120)))
    assert is_recording(heard, sound)
    assert not is_recording(heard, other)
