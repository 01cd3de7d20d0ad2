"""What `fit` is measured on, and its vector."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from antiphon_loops.analysis.reading import CLASSES, STEPS, vector
from antiphon_models.loops.corpus import LoopScore, PatternNote
from antiphon_models.loops.fit_evaluation import FOILS, FitLoop, _Item, _row, foil

LOOP = FitLoop("a song", 0, "bass", LoopScore(100.0, 4, "C major", "bass", 33, [PatternNote(15.75, 0.25, 40, 90)]))


def test_a_foil_breaks_one_thing_alone() -> None:
    note = LOOP.score.notes[0]
    semitone, late, quicker = (foil(LOOP, kind).score for kind in FOILS)
    assert semitone == replace(LOOP.score, notes=[replace(note, pitch=41)])
    assert late == replace(LOOP.score, notes=[replace(note, start=0.25)])
    assert quicker == replace(LOOP.score, bpm=108.0)


def test_ties_count_half_and_what_has_no_score_is_last() -> None:
    partner, other, broken = (_Item(LOOP, Path(name)) for name in "abc")
    row = dict(_row(partner, [other] * 5, {FOILS[1]: broken}, {Path("a"): 0.5, Path("b"): 0.5, Path("c"): 0.5}))
    assert row == {"first of 50": 1 / 6, "first five": 5 / 6, "half a beat": 0.5}
    assert dict(_row(partner, [other], {FOILS[1]: broken}, {Path("a"): 0.5}))["half a beat"] == 1.0


def test_a_transposition_turns_the_harmony_of_a_vector_alone() -> None:
    loop = np.random.default_rng(1).random((CLASSES + 1, STEPS)).astype(np.float32)
    up = loop.copy()
    up[:CLASSES] = np.roll(up[:CLASSES], 1, axis=0)
    turned = vector(loop)
    turned[:192] = np.roll(turned[:192].reshape(CLASSES, -1), 1, axis=0).ravel()
    assert np.abs(vector(up) - turned).max() < 1e-5
