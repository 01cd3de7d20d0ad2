"""The bar model while one plays: the same chances as over a file, and answers that hold to what answers hold to."""

import numpy as np
import pytest

from antiphon.api import Event
from antiphon_answer.bar_features import MELODY, BarEvent
from antiphon_answer.bar_improviser import KEPT, BarImproviser
from antiphon_answer.bar_model import installed_bars
from antiphon_answer.bar_writing import BarPlayer
from antiphon_answer.improviser import Improviser
from antiphon_answer.memory import INTERVALS, TIMES
from antiphon_answer.prior import installed_prior
from antiphon_answer.tests.playing import phrase, play

TUNE = [(3 * n // 2 * 2, 60 + (0, 2, 4, 7, 5, 4, 2, 0, 7)[n % 9]) for n in range(64)]


def improviser(tune: list[tuple[int, int]] = TUNE) -> BarImproviser:
    made = BarImproviser(installed_prior(), installed_bars())
    made.fixed = 0
    made.clear()
    for slot, pitch in tune:
        made.learn(slot, pitch, 0.7)
        made.sounded(pitch, 2.0)
    return made


def begun(events: list[tuple[float, Event]]) -> list[tuple[float, int]]:
    return [(at, event.number) for at, event in events if event.kind == "on"]


def test_it_expects_what_a_file_of_the_same_melody_leads_to_expect() -> None:
    plain = Improviser(installed_prior())
    plain.fixed = 0
    plain.clear()
    reading = BarPlayer(installed_bars(), plain, alone=True)
    for slot, pitch in TUNE:
        reading.learn(BarEvent(MELODY, slot, pitch))
    live = improviser()
    assert live.begin(TUNE[-1][0] + 2, TUNE[-1][0] + 66, TUNE[-1][0] + 10)
    live._expect(1, TIMES)
    chances = live._chances.reshape(INTERVALS, TIMES)
    for time in np.flatnonzero(chances.any(axis=0)):
        assert chances[:, time] / chances[:, time].sum() == pytest.approx(reading.values(MELODY, int(time)), abs=1e-5)


def test_an_answer_begins_in_time_stays_in_key_and_ends_at_the_bar_line() -> None:
    events, _ = play(phrase(), 44, {"by": "bars"})
    notes, end = begun(events), phrase()[-1][1]
    assert end < notes[0][0] <= end + 1.0
    assert {pitch % 12 for _, pitch in notes} <= {0, 2, 4, 5, 7, 9, 11}
    assert events[-1][0] % 4 == pytest.approx(0.0, abs=1e-3)
    assert notes[-1][1] % 12 in (0, 4, 7)
    assert notes != begun(play(phrase(), 44)[0]), "the memory alone goes on otherwise"


def test_the_same_seed_gives_the_same_answer() -> None:
    one, again, other = (begun(play(phrase(), 44, {"by": "bars", "seed": seed})[0]) for seed in (1, 1, 2))
    assert one == again != other


def test_what_was_drawn_is_no_part_of_what_was_played() -> None:
    once, twice = improviser(), improviser()
    last = TUNE[-1][0]
    assert twice.begin(last + 2, last + 34, last + 10)
    while twice.draw() is not None:
        pass
    for made in (once, twice):
        made.learn(last + 40, 64, 0.7)
    assert np.array_equal(once._state, twice._state)


def test_a_long_set_keeps_a_bounded_past() -> None:
    tune = [(n, 60 + n % 5) for n in range(3 * KEPT)]
    made = improviser(tune)
    assert made._played.count(MELODY) <= KEPT
    assert np.array_equal(made._state, improviser(tune)._state)
