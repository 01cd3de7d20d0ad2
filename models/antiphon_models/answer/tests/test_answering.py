"""The prior is counted from songs, and the evaluation measures what its titles say, without data."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.files import MidiNote
from antiphon_answer.prior import Prior
from antiphon_models.answer import evaluation, foreseeing, training
from antiphon_models.answer.evaluation import AnswerEvaluation, continuation_of
from antiphon_models.answer.foreseeing import AnswerPredictor, MarkovPredictor, SlotMelody, bits_of, spans
from antiphon_models.learning.evaluation import EvaluationRequest, choose_material
from antiphon_models.material.part_songs import PartChord


@cache
def songs() -> list[SlotMelody]:
    return list(evaluation.drawn_songs(1, 4))


def test_a_prior_is_chances_of_the_songs_it_was_counted_in() -> None:
    prior = Prior.of(training.count(songs()))
    np.testing.assert_allclose(prior.times.sum(axis=-1), 1.0)
    np.testing.assert_allclose(prior.intervals.sum(axis=-1), 1.0)
    for song in songs():
        sounds = np.bincount([n.pitch % 12 for n in song.notes], [n.length for n in song.notes], 12)
        # relative keys have the same tones
        assert prior.key(sounds) in (
            song.key,
            (song.key % 12 + (9 if song.key < 12 else 3)) % 12 + 12 * (song.key < 12),
        )


def test_the_memory_foresees_what_returns_better_than_the_prior_and_order_1() -> None:
    late = {}
    for name, make in {
        "both": AnswerPredictor(),
        "prior": AnswerPredictor(memory=False),
        "Markov": MarkovPredictor(),
    }.items():
        late[name] = np.mean([dict(spans(bits_of(make, song.notes)))["notes 96-"] for song in songs()])
    assert late["both"] < 0.7 * late["prior"]
    assert late["both"] < late["Markov"]


def test_what_is_repeated_is_the_songs_and_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    song = songs()[0].notes
    assert foreseeing.shared_part(song[10:30], song) == 1.0
    assert foreseeing.longest_copy(song[10:30], song) == 20
    bars = [note for note in song if 64 <= note.slot < 128]
    assert foreseeing.repeated_bar_share(bars, song) == 1.0
    assert foreseeing.repeated_bar_share([bars[0]._replace(pitch=30), *bars[1:]], song) == 0.75
    moved = [note._replace(pitch=note.pitch + (n % 2)) for n, note in enumerate(song[10:30])]
    assert foreseeing.shared_part(moved, song) < 0.5
    ensemble = pytest.importorskip("sklearn.ensemble")
    forest = ensemble.RandomForestClassifier
    monkeypatch.setattr(ensemble, "RandomForestClassifier", lambda trees, **given: forest(trees // 8, **given))
    rng = np.random.default_rng(1)
    same = [[rng.normal(size=(20, 3)) for _ in range(2)], [rng.normal(size=(20, 3)) for _ in range(2)]]
    names = [f"{n}" for n in range(20)]
    assert foreseeing.separation_roc_area(same[0][0], same[0][0] + 3.0, names, 1) > 0.95
    assert 0.2 < foreseeing.separation_roc_area(same[0][0], same[1][0], names, 1) < 0.8


@pytest.mark.parametrize(
    ("feel", "places"),
    [("as played", (0, 0.25, 0.5, 0.75)), ("swung", (0, 0.33, 0.66, 0.83)), ("triplets", (0, 1 / 3, 2 / 3, 2 / 3))],
)
def test_a_feel_is_places_in_the_beat(feel: str, places: tuple[float, ...]) -> None:
    assert [evaluation.FEELS[feel](5 + n / 4) for n in range(4)] == pytest.approx([5 + place for place in places])


def test_what_a_turn_that_repeats_the_player_measures() -> None:
    own = [MidiNote(n / 2, 0.5, 60 + (0, 2, 4, 5, 7)[n % 5], 0.5) for n in range(32)]
    echo = [replace(n, start=n.start + 16.0, velocity=0.5 + 0.1 * (n.number > 63)) for n in own[:31]]
    last = MidiNote(31.0, 1.0, 67, 0.5)
    song = evaluation.Trader("", 0, 100.0, (), (PartChord(16.0, 31.0, "C:maj"), PartChord(31.0, 32.0, "D:min7")))
    found = evaluation.figures_of([*echo[:30], last], own, 16.0, song)
    assert (found["run"], found["run, part"], found["ends"]) == (30, 30 / 31, True)
    assert (found["groups"], found["bars, turns"]) == (pytest.approx(27 / 28), 0.75)
    ends = [evaluation.figures_of([*echo[:30], replace(last, number=n)], own, 16.0, song)["ends"] for n in (69, 71)]
    assert ends == [True, False], "a tone of the bar's chord, and no tone of any"
    assert (found["cadence"], found["cells kept"], found["first note"], found["off its place"]) == (True, 7 / 8, 0, 0)
    assert 4.0 < found["loudness, deviation"] < 7.0
    held = [*own[:-1], replace(own[-1], length=2.0)]
    found = evaluation.figures_of([*echo[:30], last], held, 16.0, song)
    assert "first note" not in found, "the player's last note sounds"
    late = [replace(n, start=n.start + 0.16 * (n.start % 1.0 > 0)) for n in echo]
    assert evaluation.figures_of(late, own, 16.0, song)["off its place"] == pytest.approx(0.16)


def test_it_is_evaluated_without_data_by_the_command(tmp_path: Path) -> None:
    ask = choose_material(
        AnswerEvaluation(), EvaluationRequest(tmp_path, tmp_path, limit=1, systems=("answer",), say=str)
    )
    assert ask.synthetic
    found = {(score.system, score.measure) for score in AnswerEvaluation().scores(ask)}
    assert {("answer", "notes 32-96"), ("answer", "copied run"), ("answer", "cadence")} <= found


def test_a_continuation_is_of_its_bars() -> None:
    song = songs()[0]
    before = [note for note in song.notes if note.slot < 320]
    added, report = continuation_of(song, before, 1)
    assert report["from"] == 80.0
    assert all(320 <= note.slot < 448 for note in added)
    assert 446.0 < added[-1].slot + added[-1].length <= 448.0
