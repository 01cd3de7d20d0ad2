"""The noise of a file, by what the mask takes of it: noise that stays is found, all else is not."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_denoise.learned.file_confidence import SteadyNoise

BINS, HOPS = 256, 500


def heard(noise: float, often: float) -> SteadyNoise:
    """Sound in a third of the bins, and noise of that mean power in so many of the hops, divided by a good mask."""
    rng = np.random.default_rng(1)
    made = SteadyNoise(BINS)
    for _ in range(HOPS):
        sound = np.where(np.arange(BINS) % 3 == 0, rng.exponential(1.0, BINS), 0.0)
        other = rng.exponential(noise, BINS) * (rng.random() < often)
        power = (sound + other + 1e-9).astype(np.float32)
        made.add(power, np.sqrt(sound / power).astype(np.float32))
    return made


def test_noise_that_stays_is_found_with_its_power() -> None:
    power = heard(0.2, 1.0).power()
    assert power is not None
    between = power[np.arange(BINS) % 3 != 0]
    assert abs(10.0 * np.log10(between.mean() / 0.2)) < 0.3


@pytest.mark.parametrize(("noise", "often"), [(1e-3, 1.0), (0.5, 0.1), (0.0, 1.0)])
def test_little_noise_and_noise_that_comes_and_goes_are_not(noise: float, often: float) -> None:
    assert heard(noise, often).power() is None


def test_noise_in_which_a_bin_comes_and_goes_is_not() -> None:
    rng = np.random.default_rng(3)
    made = SteadyNoise(BINS)
    for _ in range(HOPS):
        power = (rng.exponential(1.0, BINS) ** 4).astype(np.float32)
        made.add(power, np.full(BINS, 0.3, np.float32))
    assert made.power() is None


def test_silence_has_none() -> None:
    made = SteadyNoise(BINS)
    assert made.power() is None
    made.add(np.zeros(BINS, np.float32), np.ones(BINS, np.float32))
    assert made.power() is None
