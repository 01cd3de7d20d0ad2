"""The pairs of `antiphon evaluate character` differ in the one thing that is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from antiphon_classify.character.analysis import RATE
from antiphon_models.classify.tags.character_evaluation import (
    PAIRS,
    QUESTIONS,
    SECONDS,
    CharacterEvaluation,
    PieceOptions,
    piece,
)
from antiphon_models.learning.evaluation import EvaluationRequest, MetricValue


def test_a_piece_has_its_length_and_level_and_is_the_same_by_its_seed() -> None:
    sound = piece(PieceOptions(7, level=-6.0))
    assert len(sound) == round(SECONDS * RATE)
    assert abs(20.0 * np.log10(sound.std()) + 26.0) < 0.01
    assert (sound == piece(PieceOptions(7, level=-6.0))).all()
    assert (sound != piece(PieceOptions(8, level=-6.0))).any()


def test_every_pair_differs() -> None:
    options = PieceOptions(3)
    for _, pair in QUESTIONS.values():
        first, second = pair(options)
        assert first != second
        assert replace(second, seed=first.seed) != first


@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng, which speaks in two of the pairs")
def test_one_pair_of_each_quantity_is_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {row[0]: name for name, row in QUESTIONS.items()}
    for name in set(QUESTIONS) - set(asked.values()):
        monkeypatch.delitem(QUESTIONS, name)
    scores: list[MetricValue] = list(CharacterEvaluation().scores(EvaluationRequest(tmp_path, tmp_path, limit=1)))
    ours = [score for score in scores if score.system == "character"]
    assert [score.measure for score in ours] == list(QUESTIONS)
    assert sum(score.value for score in ours) == len(ours) == 8
    # both of a pair are equally loud, where it does not ask for level
    assert {s.value for s in scores if s.system == "level" and s.measure != "energy: level"} == {0.5}
    assert PAIRS > 1
