"""The simulators, the methods and their evaluation, on a small world."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon_models.learning.evaluation import EvaluationRequest, cells
from antiphon_models.recommend import evaluation
from antiphon_models.recommend.commands import of_world
from antiphon_models.recommend.evaluation import Recommending, count_skips, found_again, ndcg
from antiphon_models.recommend.listeners import SimulatedListeners, TasteListeners, WanderingListeners
from antiphon_models.recommend.methods import Ease, LeastSquares, RandomOrder, methods, table_of
from antiphon_models.recommend.world import make_world

TRACKS = 180
_BESIDE = ("random", "popularity", "factors of sound")


def lists(simulator: SimulatedListeners, count: int, cold: np.ndarray) -> list[list[int]]:
    found = [simulator.history(np.random.default_rng([1, n]))[1] for n in range(count)]
    return [[track for track in plays if not cold[track]] for plays in found]


def test_ndcg_by_hand() -> None:
    assert ndcg(np.array([3.0, 2.0, 1.0]), {0}) == 1.0
    assert ndcg(np.array([3.0, 2.0, 1.0]), {1}) == pytest.approx(1 / np.log2(3))
    assert ndcg(np.array([3.0, 2.0, 1.0]), {0, 2}, 2) == pytest.approx(1 / (1 + 1 / np.log2(3)))
    # equal scores gain what an order by chance does
    assert ndcg(np.zeros(4), {2}, 1) == pytest.approx(0.25)


def test_ease_and_least_squares_find_what_is_played_together() -> None:
    played = [[0, 1, 2]] * 20 + [[3, 4, 5]] * 20 + [[0, 3]]
    for method in (Ease(table_of(played, 6), 1.0), LeastSquares(table_of(played, 6), 1)):
        scores = method.scores([0])
        assert scores[[1, 2]].mean() > scores[[3, 4, 5]].mean() + 0.1
    weights = Ease(table_of(played, 6), 1.0)
    gram = table_of(played, 6).T @ table_of(played, 6) + np.eye(6)
    solved = np.linalg.inv(gram)
    assert weights.scores([1])[2] == pytest.approx(-solved[1, 2] / solved[2, 2])


def test_what_was_learned_from_one_simulator_serves_the_other(tmp_path: Path) -> None:
    world = make_world(3, TRACKS)
    simulators: list[SimulatedListeners] = [TasteListeners(world, 4), WanderingListeners(world, 5)]
    for source, judge in (simulators, simulators[::-1]):
        played = lists(source, 100, world.cold)
        found = {name: one for name, one in methods(world, played, 1).items() if name in _BESIDE}
        found["next"] = of_world(tmp_path / type(source).__name__, world, played)
        people = [judge.history(np.random.default_rng([2, n]))[1] for n in range(8)]
        means: dict[tuple[str, str], list[float]] = {}
        for value in found_again(world.cold, people, found, ""):
            means.setdefault((value.system, value.measure), []).append(value.value)
        mean = {key: float(np.mean(values)) for key, values in means.items()}
        assert mean["next", "NDCG@10"] > 1.2 * mean["popularity", "NDCG@10"]
        assert mean["next", "cold NDCG@10"] > 1.3 * mean["random", "cold NDCG@10"]
        assert mean["factors of sound", "cold NDCG@10"] > mean["popularity", "cold NDCG@10"]


def test_fewer_are_skipped_than_of_tracks_by_chance(tmp_path: Path) -> None:
    world = make_world(3, TRACKS)
    simulator = TasteListeners(world, 4)
    played = lists(WanderingListeners(world, 5), 100, world.cold)
    by_chance = count_skips(world, simulator, {"random": RandomOrder(TRACKS, 1)}, 25, "", 9)
    ours = count_skips(world, simulator, {"next": of_world(tmp_path / "next", world, played)}, 5, "", 9)
    assert np.mean([one.value for one in ours]) < 0.9 * np.mean([one.value for one in by_chance])


def test_a_person_is_asked_and_answers(tmp_path: Path) -> None:
    world = make_world(3, 40)
    asked: list[int] = []
    said, best = of_world(tmp_path / "one", world).questioned(4, lambda track: asked.append(track) or track % 2 == 0)
    assert said == asked
    assert len(set(said)) == 4
    assert len(best) == 10
    assert not set(best) & set(said)


def test_the_same_seed_gives_the_same_people() -> None:
    world = make_world(3, TRACKS)
    for kind in (TasteListeners, WanderingListeners):
        simulator: SimulatedListeners = kind(world, 4)
        one, two = (simulator.history(np.random.default_rng(7))[1] for _ in range(2))
        assert one == two
        assert len(set(one)) == len(one) > 5


def test_logs_of_real_listeners_are_measured_in_their_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    playlists = []
    for n in range(60):
        names = draw.sample(range(20), 8)
        tracks = [{"artist_name": f"a{n % 3}", "track_name": f"t{n % 3} {name}"} for name in names]
        playlists.append({"pid": n, "tracks": tracks})
    (tmp_path / "mpd.slice.0-999.json").write_text(json.dumps({"playlists": playlists}))
    monkeypatch.setattr(evaluation, "COMMONEST", 50)
    ask = EvaluationRequest(tmp_path, tmp_path, limit=6, say=lambda _: None)
    figures = {(cell.system, cell.measure): cell for cell in cells(Recommending(), Recommending().scores(ask))}
    assert figures["EASE", "NDCG@10"].n == 6
    assert figures["next", "NDCG@10"].mean > 2 * figures["random", "NDCG@10"].mean
    (tmp_path / "mpd.slice.0-999.json").write_text('{"playlists": []}')
    with pytest.raises(UsageError, match="too few"):
        list(Recommending().scores(ask))
