"""The made audience: its noise has the stated size, its ceiling is one; intervals cover; nobody is in two splits."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_classify.popularity import products
from antiphon_models.classify.popularity import audience, material, taste
from antiphon_models.classify.popularity.audience import vote
from antiphon_models.classify.popularity.recipe import r2
from antiphon_models.classify.popularity.songs import ATTRIBUTES, stated

SEED = 3


@pytest.fixture(scope="module")
def songs() -> tuple[list[audience.SongAttributes], list[int]]:
    return material.attributes("fit", SEED, 40)


def test_the_same_votes_come_again_whatever_else_is_asked_for(
    songs: tuple[list[audience.SongAttributes], list[int]],
) -> None:
    attributes, artists = songs
    whole, part = vote(attributes, artists, SEED), vote(attributes[50:60], artists[50:60], SEED)
    np.testing.assert_array_equal(whole.popularity[50:60], part.popularity)
    assert not np.array_equal(whole.popularity, vote(attributes, artists, SEED + 1).popularity)


def test_nothing_foresees_more_than_who_knows_the_taste(
    songs: tuple[list[audience.SongAttributes], list[int]],
) -> None:
    attributes, artists = songs
    many = [vote(attributes, artists, seed) for seed in range(60)]
    truth, best = np.concatenate([v.popularity for v in many]), np.concatenate([v.best for v in many])
    reached = r2(best, truth)
    assert 0.38 < reached < 0.56  # half of the variance, as percentiles of songs that are not quite typical
    for other in (0.9 * best + 0.05, best**1.2, np.clip(best + 0.05, 0, 1), np.full_like(best, truth.mean())):
        assert r2(other, truth) < reached
    # the mean vote of each song is what it says
    np.testing.assert_allclose(np.mean([v.popularity for v in many], axis=0), many[0].best, atol=0.16)


def test_the_taste_is_of_mean_0_and_variance_1_over_songs(
    songs: tuple[list[audience.SongAttributes], list[int]],
) -> None:
    liked = audience.liking(songs[0])
    assert abs(liked.mean()) < 0.4
    assert abs(liked.std() - 1.0) < 0.3


def test_no_artist_is_in_two_splits() -> None:
    numbers = [number for split in material.SPLITS.values() for number in split]
    assert len(set(numbers)) == len(numbers)


def test_a_taste_is_learned_from_votes_over_attributes(songs: tuple[list[audience.SongAttributes], list[int]]) -> None:
    attributes, artists = songs
    votes = vote(attributes, artists, SEED)
    rows = products(stated(attributes))
    assert rows.shape[1] == ATTRIBUTES + ATTRIBUTES * (ATTRIBUTES + 1) // 2
    half = len(rows) // 2
    ridge = taste.chosen((rows[:half], votes.popularity[:half], np.asarray(artists[:half])))
    assert r2(ridge.predicted(rows[half:]), votes.best[half:]) > 0.4


@pytest.mark.parametrize("count", [50, 300])
def test_intervals_hold_what_they_are_meant_to(count: int) -> None:
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        errors = rng.exponential(size=count + 1)
        width = taste.half_width(np.zeros(count), errors[:-1])
        covered.append(errors[-1] <= width)
    assert 0.84 < np.mean(covered) < 0.96


def test_an_interval_of_few_songs_is_the_widest_there_was() -> None:
    assert taste.half_width(np.zeros(3), np.array([0.1, 0.4, 0.2])) == 0.4
