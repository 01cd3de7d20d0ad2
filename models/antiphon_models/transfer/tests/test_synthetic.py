"""The evaluation without songs: notes drawn at random, by the same instruments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon_models.learning.evaluation import EvaluationRequest, cells, choose_material
from antiphon_models.material import fluidsynth
from antiphon_models.transfer.evaluation import GROUPS, Transferring
from antiphon_models.transfer.renders import SECONDS, synthetic_song


def test_songs_are_of_their_seed_and_fill_their_time() -> None:
    first, again, other = (synthetic_song(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    for notes in (first, other):
        assert len(notes) >= 12
        assert all(0.0 <= start < end <= SECONDS and 36 <= number <= 96 for start, end, number, _ in notes)
        assert max(end for _, end, _, _ in notes) > SECONDS - 1.0


@pytest.mark.skipif(bool(fluidsynth.missing()), reason="FluidSynth or a soundfont is missing")
def test_it_is_evaluated_without_data(tmp_path: Path) -> None:
    ask = EvaluationRequest(tmp_path, tmp_path, limit=1, systems=("copy A", "copy B", "exact"), say=lambda line: None)
    ask = choose_material(Transferring(), ask)
    assert ask.synthetic
    figures = {(c.group, c.system, c.measure): c.mean for c in cells(Transferring(), Transferring().scores(ask))}
    for group in GROUPS.values():
        assert figures[group, "copy A", "lsd"] == pytest.approx(1.0)
        assert figures[group, "exact", "lsd"] == pytest.approx(0.0, abs=1e-9)
        assert figures[group, "copy B", "timbre"] == pytest.approx(0.0, abs=1e-6)
        assert figures[group, "copy A", "onsets"] == pytest.approx(1.0)
