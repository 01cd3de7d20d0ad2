"""The simulated audience: its ceiling is one; intervals cover; nobody is in two splits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon_classify.popularity import with_squares
from antiphon_classify.statistics import SIZE
from antiphon_models.classify.popularity import material, taste
from antiphon_models.classify.popularity.audience import CENTRES, SPREADS, HeardSong, liking, vote
from antiphon_models.classify.popularity.recipe import PartedNetwork, PopularityRecipe, r2
from antiphon_models.classify.popularity.songs import ATTRIBUTES, encode_attributes
from antiphon_models.material.composer.song import SongAttributes

SEED = 3
Songs = tuple[list[SongAttributes], list[HeardSong], list[int]]


@pytest.fixture(scope="module")
def songs() -> Songs:
    attributes, artists = material.attributes("fit", SEED, 30)
    rng = np.random.default_rng(SEED)
    names = ("brightness", "onsets", "liveliness")
    heard = [HeardSong(*(rng.normal(CENTRES[name], SPREADS[name]) for name in names)) for _ in attributes]
    return attributes, heard, artists


def test_the_same_votes_come_again_whatever_else_is_asked_for(songs: Songs) -> None:
    liked, artists = liking(*songs[:2]), songs[2]
    whole, part = vote(liked, artists, SEED), vote(liked[50:60], artists[50:60], SEED)
    np.testing.assert_array_equal(whole.popularity[50:60], part.popularity)
    assert not np.array_equal(whole.popularity, vote(liked, artists, SEED + 1).popularity)


def test_nothing_foresees_more_than_who_knows_the_taste(songs: Songs) -> None:
    liked, artists = liking(*songs[:2]), songs[2]
    many = [vote(liked, artists, seed) for seed in range(60)]
    truth, best = np.concatenate([v.popularity for v in many]), np.concatenate([v.best for v in many])
    reached = r2(best, truth)
    assert 0.35 < reached < 0.6  # half of the variance, as shares of songs that are not quite typical
    for other in (0.8 * best + 0.1, best**1.3, np.clip(best + 0.07, 0, 1), np.full_like(best, truth.mean())):
        assert r2(other, truth) < reached
    # the mean vote of each song is what it says
    np.testing.assert_allclose(np.mean([v.popularity for v in many], axis=0), many[0].best, atol=0.2)


def test_the_taste_is_of_mean_0_and_variance_1_over_songs(songs: Songs) -> None:
    liked = liking(*songs[:2])
    assert abs(liked.mean()) < 0.5
    assert abs(liked.std() - 1.0) < 0.4


def test_what_is_heard_is_measured_in_the_sound() -> None:
    mel = np.full((430, 64), -60.0, np.float32)
    mel[:, 32] = 0.0
    steady = HeardSong.of(mel, 43.0)
    assert (steady.brightness, steady.onsets) == (pytest.approx(0.5, abs=0.01), 0.0)
    mel[::43] += 30.0
    bursts = HeardSong.of(mel, 43.0)
    assert bursts.onsets == pytest.approx(0.9, abs=0.11)
    assert bursts.liveliness > steady.liveliness + 1.0


def test_no_artist_is_in_two_splits() -> None:
    numbers = [number for split in material.SPLITS.values() for number in split]
    assert len(set(numbers)) == len(numbers)


def test_a_taste_is_learned_from_votes_over_attributes(songs: Songs) -> None:
    attributes, heard, artists = songs
    liked, rows = liking(attributes, heard), with_squares(encode_attributes(attributes, heard))
    assert rows.shape[1] == 2 * ATTRIBUTES
    half = len(rows) // 2
    votes = [vote(liked[:half], artists[:half], seed).popularity for seed in range(30)]
    again = np.concatenate([np.asarray(artists[:half]) + 100 * seed for seed in range(30)])
    ridge = taste.chosen((np.tile(rows[:half], (30, 1)), np.concatenate(votes), again))
    assert r2(ridge.predicted(rows[half:]), vote(liked[half:], artists[half:], SEED).best) > 0.6


@pytest.mark.parametrize("count", [50, 300])
def test_intervals_hold_what_they_are_meant_to(count: int) -> None:
    """Half of an error is the artist's, as of the votes; the songs of an artist nothing is known of are covered."""
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        artists = np.repeat(np.arange(count // 5 + 1), 5)
        errors = rng.normal(size=len(artists)) + np.repeat(rng.normal(size=count // 5 + 1), 5)
        width = taste.half_width(np.zeros(count), errors[:-5], artists[:-5])
        covered.append(np.mean(np.abs(errors[-5:]) <= width))
    assert 0.85 < np.mean(covered) < 0.99  # few artists: wider


def test_an_interval_of_few_songs_is_the_widest_there_was() -> None:
    assert taste.half_width(np.zeros(3), np.array([0.1, 0.4, 0.2]), np.arange(3)) == 0.4


def test_what_is_left_out_is_foreseen_without_its_artist() -> None:
    """Columns by which each artist can be learned by heart say nothing of an artist that was left out."""
    rng = np.random.default_rng(7)
    artists = np.repeat(np.arange(40), 5)
    targets = np.clip(0.5 + 0.3 * rng.normal(size=40)[artists] + 0.01 * rng.normal(size=200), 0.0, 1.0)
    rows = np.eye(40, dtype=np.float32)[artists]
    assert r2(taste.Ridge.fitted(rows, targets, 0.1).predicted(rows), targets) > 0.9
    assert r2(taste.left_out([rows] * taste.PARTS, targets, artists), targets) < 0.05
    known = np.where(taste.parts(artists)[:, None] == 3, targets[:, None], 0.5).astype(np.float32)
    # each part has columns of its own, by a model that lacks its artists
    found = taste.left_out([targets[:, None] if part == 3 else known for part in range(5)], targets, artists)
    assert r2(found[taste.parts(artists) == 3], targets[taste.parts(artists) == 3]) > 0.95
    assert r2(found[taste.parts(artists) == 1], targets[taste.parts(artists) == 1]) < 0.3


def test_the_network_of_a_part_learns_nothing_from_its_artists() -> None:
    torch.manual_seed(1)
    network, recipe = PartedNetwork(), PopularityRecipe()
    segments, truth = torch.randn(8, SIZE), torch.rand(8, ATTRIBUTES)
    recipe.loss(network, (segments, truth, torch.full((8,), 2)))[0].backward()
    learned = [float(each.attributes.bias.grad.abs().sum()) > 0.0 for each in network.networks]  # type: ignore[union-attr]
    assert learned == [True, True, True, False, True, True]
