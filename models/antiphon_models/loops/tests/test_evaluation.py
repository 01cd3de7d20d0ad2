"""The evaluation of loops: right answers are 1, and without songs only drawn loops are measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from antiphon_models.learning.evaluation import EvaluationRequest, cells, choose_material
from antiphon_models.loops import evaluation
from antiphon_models.loops.corpus import RATE, Known
from antiphon_models.loops.evaluation import Looping
from antiphon_models.loops.midifile import why_not
from antiphon_models.loops.systems import Guess, marks, ours, trivial
from antiphon_models.loops.training import SEEDS

FOUR_BARS = Known(np.zeros((2, round(4 * 240.0 / 110.0 * RATE)), np.float32), 110.0, 4, "C major", "chords")


def test_marks_are_one_where_right() -> None:
    right = marks(FOUR_BARS, Guess(110.0, 4, "C major", "harmonic"))
    assert right == {"tempo": 1.0, "exact": 1.0, "bars": 1.0, "key": 1.0, "family": 1.0}
    assert marks(FOUR_BARS, trivial(FOUR_BARS)) == right
    near = marks(FOUR_BARS, Guess(bpm=112.0, key="A minor"))
    assert near == {"tempo": 1.0, "exact": 0.0, "key": 0.0}
    drums = replace(FOUR_BARS, key=None, kind="drums")
    assert marks(drums, Guess(key="")) == {"keyless": 1.0}
    assert marks(FOUR_BARS, Guess(bpm=100.0, used=False)) == {"tempo": 0.0, "exact": 0.0, "used": 0.0}
    assert marks(FOUR_BARS, Guess(bpm=110.0, used=True))["tempo of used"] == 1.0


def test_the_command_is_asked_about_a_loop() -> None:
    rng, frames = np.random.default_rng(1), round(2 * 240.0 / 120.0 * RATE)
    samples = np.zeros((2, frames), np.float32)
    for beat in range(8):
        hit = rng.normal(0.0, 0.3, 4000) * np.exp(-np.arange(4000) / (1500.0 if beat % 2 else 400.0))
        samples[:, beat * RATE // 2 :][:, :4000] += hit.astype(np.float32)
    known = Known(samples, 120.0, 2, None, "drums")
    assert marks(known, ours(known))["exact"] == 1.0
    silent = replace(known, samples=np.zeros_like(samples))
    assert marks(silent, ours(silent)) == dict.fromkeys(("tempo", "exact", "bars", "keyless", "family"), 0.0)


def test_seeds_are_not_those_of_the_tables() -> None:
    fitted = {seed for seeds in SEEDS.values() for seed in seeds}
    assert not fitted & {evaluation._SEED * seed for seed in range(1000)}


@pytest.mark.skipif(bool(why_not()), reason="FluidSynth or a soundfont is missing")
def test_it_is_evaluated_without_data(tmp_path: Path) -> None:
    lines: list[str] = []
    systems = ("nearest to 110 bpm",)
    ask = EvaluationRequest(tmp_path, tmp_path, limit=6, systems=systems, say=lines.append)
    ask = choose_material(Looping(), ask)
    figures = {(c.group, c.measure): c for c in cells(Looping(), Looping().scores(ask))}
    assert "loops drawn by chance alone" in lines[0]
    groups = {group for group, _ in figures}
    assert groups == {"loops drawn by chance", "half of the drawn loops, behind a silence of 0.1 to 1.5 s"}
    assert figures["loops drawn by chance", "tempo"].n == 12
