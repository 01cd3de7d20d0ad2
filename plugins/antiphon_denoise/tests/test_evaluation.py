"""The evaluation on files of one's own gives its table."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.errors import UsageError
from antiphon.learning.evaluation import Ask, cells, table
from antiphon_denoise.evaluation import Denoising

_spec = importlib.util.spec_from_file_location("denoise_sounds", Path(__file__).with_name("sounds.py"))
assert _spec is not None
assert _spec.loader is not None
sounds = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sounds)
RATE = 48000
SYSTEMS = ("nothing", "gate", "mask")


@pytest.fixture
def asked(tmp_path: Path) -> Ask:
    """Two clean files, and a folder with one noise of fold 4."""
    clips = tmp_path / "data" / "esc10" / "rain"
    clips.mkdir(parents=True)
    soundfile.write(clips / "4-1.ogg", sounds.white(5 * RATE, 0.1)[0][: 2 * RATE], RATE)
    files = (tmp_path / "a.wav", tmp_path / "b.wav")
    for n, path in enumerate(files):
        soundfile.write(path, (sounds.melody, sounds.voice)[n](RATE, 6.0, n), RATE)
    return Ask(tmp_path / "data", tmp_path, 1, 1, SYSTEMS, files, lambda line: None)


def test_files_give_a_table(asked: Ask) -> None:
    found = cells(Denoising(), Denoising().scores(asked))
    means = {(cell.system, cell.measure): cell.mean for cell in found}
    assert {system for system, _ in means} == set(SYSTEMS)
    assert means["nothing", "gain"] == pytest.approx(0.0, abs=1e-9)
    assert means["nothing", "at 20 dB"] == pytest.approx(0.0, abs=1e-9)
    assert means["mask", "gain"] > means["gate", "gain"] > 0.0
    assert means["mask", "gain"] > 8.0
    assert math.isfinite(means["gate", "clean"])
    lines = "\n".join(table(Denoising(), found))
    for name in SYSTEMS:
        assert name in lines


def test_a_silent_file_and_a_folder_without_noises_are_refused(asked: Ask, tmp_path: Path) -> None:
    from dataclasses import replace

    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    with pytest.raises(UsageError, match="is silent; give a file with clean sound"):
        list(Denoising().scores(replace(asked, files=(tmp_path / "still.wav",))))
    (tmp_path / "bare" / "esc10").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no esc10"):
        list(Denoising().scores(replace(asked, data=tmp_path / "bare")))
