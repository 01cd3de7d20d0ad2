"""`antiphon evaluate next`: what comes next, on simulated listeners or on logs of real ones."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from antiphon.api import F64, UsageError
from antiphon_library.taste import logs
from antiphon_library.taste.choosing import VALUES, TrackTable
from antiphon_library.taste.preference import preference
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.recommend.commands import NextCommand, of_world
from antiphon_models.recommend.listeners import SimulatedListeners, TasteListeners, WanderingListeners
from antiphon_models.recommend.methods import RecommendMethod, learners, methods, track_table
from antiphon_models.recommend.world import World, make_world

PEOPLE, MEASURED, AT, SIGNALS, QUESTIONS = 800, 40, 10, 10, 12
"""People learned from; people measured; tracks of a list; tracks that a new person is given, and is asked about."""
LISTS, COMMONEST = 20_000, 3000
"""Of real logs: lists that are read, and tracks."""
NOTE = (
    "NDCG@10, by the scores that are printed: every second play of a person is given, the others are to be found. "
    "cold: the same among tracks that no log holds. skips: of ten tracks, one after another, of a new person who liked "
    "one. liked of 10: after 12 questions, from nothing else. Simulated listeners are not people."
)


class Recommending(Evaluation):
    """Two simulators of listeners over one made catalogue, each learned from and judged by both."""

    trivial = "random; popularity; random questions"
    classical = "item neighbours; ALS; EASE; factors of sound"
    peer = "implicit ALS"
    ours = "personality; sound and tags; next"
    columns = "NDCG@10; cold NDCG@10; skips ↓; liked of 10"
    note = NOTE
    road = (
        "`antiphon library learn LOGS` and `next --like FILE --skip FILE --after FILE --json`, of a catalogue whose "
        "tracks are made; personality by `antiphon library personality --silent --json`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems, person by person, for each pair of simulators."""
        with tempfile.TemporaryDirectory() as folder:
            yield from self._scores(ask, Path(folder))

    def _scores(self, ask: EvaluationRequest, folder: Path) -> Iterator[MetricValue]:
        measured = min(MEASURED, ask.limit or MEASURED)
        if _has_logs(ask.data):
            yield from _of_logs(ask, measured, folder)
            return
        world = make_world(ask.seed)
        simulators: dict[str, SimulatedListeners] = {
            "taste": TasteListeners(world, ask.seed + 1),
            "wandering": WanderingListeners(world, ask.seed + 2),
        }
        logs = {name: _histories(one, ask.seed + 3, PEOPLE + measured) for name, one in simulators.items()}
        plain = of_world(folder / "plain", world)
        table = track_table(world)
        for judge, simulator in simulators.items():
            yield from count_liked(simulator, plain, table, measured, f"asked, judged by {judge}", ask)
        for source, people in logs.items():
            known = [[track for track in plays if not world.cold[track]] for plays in people[:PEOPLE]]
            ours = {"sound and tags": plain, "next": of_world(folder / source, world, known)}
            found = ask.wanted({**methods(world, known, ask.seed), **ours})
            if "implicit ALS" not in found and ask.wants("implicit ALS"):
                ask.say("implicit is not installed: no figures of it")
            for judge, simulator in simulators.items():
                group = f"learned from {source}, judged by {judge}"
                yield from found_again(world.cold, logs[judge][PEOPLE:], found, group)
                yield from count_skips(world, simulator, found, measured, group, ask.seed + 4)


def _has_logs(folder: Path) -> bool:
    return any(any(place.glob(name)) for place in (folder, folder / "data") for name in (logs.SLICES, logs.PLAYS))


def _of_logs(ask: EvaluationRequest, measured: int, folder: Path) -> Iterator[MetricValue]:
    """Real logs: the last lists are measured, and the tracks are those that the others hold most often."""
    lists = [list(dict.fromkeys(one)) for one in logs.lists(ask.data, LISTS)]
    measured = min(measured, len(lists) // 5)
    plays = Counter(track for one in lists[: len(lists) - measured] for track in one)
    place = {track: number for number, (track, _) in enumerate(plays.most_common(COMMONEST))}
    inside = [[place[track] for track in one if track in place] for one in lists]
    if not measured or not place:
        raise UsageError(f"{ask.data} holds {len(lists)} lists, too few to learn from some and measure on others")
    known = inside[: len(inside) - measured]
    found = learners(known, len(place), ask.seed)
    found["next"] = NextCommand(folder / "next", list(place), lists=known)
    wanted = {name: one for name, one in found.items() if ask.wants(name)}
    no_cold = np.zeros(len(place), np.bool_)
    yield from found_again(no_cold, inside[len(inside) - measured :], wanted, "logs")


def _histories(simulator: SimulatedListeners, seed: int, count: int) -> list[list[int]]:
    return [simulator.history(np.random.default_rng([seed, person]))[1] for person in range(count)]


def found_again(
    cold: np.ndarray, people: Sequence[Sequence[int]], found: Mapping[str, RecommendMethod], group: str
) -> Iterator[MetricValue]:
    """NDCG of the half of each person's plays that is not given, among known tracks and among cold ones."""
    for number, plays in enumerate(people):
        known = [track for track in plays if not cold[track]]
        given, hidden = known[::2], set(known[1::2])
        new = {track for track in plays if cold[track]}
        for name, method in found.items():
            if not given:
                continue
            scores = method.scores(given)
            if hidden:
                yield MetricValue(name, "NDCG@10", f"{number}", ndcg(_without(scores, cold, given), hidden), group)
            if new:
                yield MetricValue(name, "cold NDCG@10", f"{number}", ndcg(_without(scores, ~cold, ()), new), group)


def _without(scores: F64, left_out: np.ndarray, given: Sequence[int]) -> F64:
    found = np.where(left_out, -np.inf, scores)
    found[list(given)] = -np.inf
    return found


def ndcg(scores: F64, wanted: set[int], at: int = AT) -> float:
    """Normalised discounted cumulative gain of the best `at` tracks, 0 to 1 (Järvelin and Kekäläinen, 2002).

    Equal scores count as their average order, so a method that knows nothing gains nothing by the order of tracks.
    """
    order = np.argsort(-scores, kind="stable")
    discounts = 1.0 / np.log2(np.arange(2, at + 2))
    ideal = float(discounts[: min(at, len(wanted))].sum())
    ranked = scores[order]
    gain, first = 0.0, 0
    while first < min(at, len(order)):
        last = int(np.searchsorted(-ranked, -ranked[first], "right"))
        share = float(discounts[first : min(last, at)].sum()) / (last - first)
        gain += share * sum(int(track) in wanted for track in order[first:last])
        first = last
    return gain / ideal


def count_skips(
    world: World,
    simulator: SimulatedListeners,
    found: Mapping[str, RecommendMethod],
    people: int,
    group: str,
    seed: int,
) -> Iterator[MetricValue]:
    """How many of ten tracks a new person skips, each method giving the next one after each signal."""
    for name, method in found.items():
        for person in range(people):
            rng = np.random.default_rng([seed, person])
            listener = simulator.listener(rng)
            affinity = np.where(world.cold, 0.0, listener.affinity())
            liked = np.flatnonzero(affinity > 0.5)
            first = int(rng.choice(liked)) if len(liked) else int(affinity.argmax())
            choose = Course(method, first)
            listener.hear(first)
            good, skips = True, 0
            for chance in rng.random(SIGNALS):
                track = choose(skipped=not good)
                good = bool(chance < listener.affinity()[track])
                listener.hear(track)
                skips += not good
            yield MetricValue(name, "skips", f"{person}", float(skips), group)


class Course:
    """The tracks that a method gives a new person, one after another: the best by the plays so far, or the command's.

    `method`: it; `first`: the track that was heard first.
    """

    def __init__(self, method: RecommendMethod, first: int) -> None:
        self._method, self._given, self._good = method, [first], list[int]()

    def __call__(self, *, skipped: bool) -> int:
        """The next track. skipped: the last one was not heard to its end."""
        last = self._given[-1]
        if not skipped:
            self._good.append(last)
        if isinstance(self._method, NextCommand):
            track = self._method.following(last, skipped=skipped, first=len(self._given) == 1)
        else:
            scores = self._method.scores(self._good).copy()
            scores[self._given] = -np.inf
            track = int(scores.argmax())
        self._given.append(track)
        return track


def count_liked(
    simulator: SimulatedListeners, ours: NextCommand, table: TrackTable, people: int, group: str, ask: EvaluationRequest
) -> Iterator[MetricValue]:
    """How many of the ten best tracks are liked after `QUESTIONS`, by the command, or drawn at random."""
    size = len(table.rows)
    for name in ("random questions", "personality"):
        for person in range(people if ask.wants(name) else 0):
            rng = np.random.default_rng([ask.seed + 5, person])
            affinity = simulator.listener(rng).affinity()
            coins = rng.random(size) < affinity
            if name == "personality":
                _, best = ours.questioned(QUESTIONS, coins.tolist().__getitem__)
            else:
                asked = [int(n) for n in rng.permutation(size)[:QUESTIONS]]
                values = [VALUES["like"] if coins[track] else VALUES["dislike"] for track in asked]
                mean = preference(table.kernel, asked, values).mean
                mean[asked] = -np.inf
                best = [int(n) for n in np.argsort(-mean, kind="stable")[:AT]]
            yield MetricValue(name, "liked of 10", f"{person}", float(affinity[best].sum()), group)
