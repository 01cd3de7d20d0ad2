"""A second opinion by librosa, which is compiled for some twenty seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon_library.tests.conftest import RATE, Library

pytestmark = pytest.mark.slow


@pytest.mark.needs("listen")
def test_librosa_gives_a_second_opinion_of_the_tempo(library: Library, music: Path) -> None:
    clicks = np.zeros(12 * RATE, np.float32)
    for at in range(0, len(clicks), RATE // 2):
        clicks[at : at + 200] = np.random.default_rng(1).normal(0, 0.3, 200)
    soundfile.write(music / "clicks.wav", clicks, RATE)
    soundfile.write(music / "tone.wav", 0.5 * np.sin(2 * np.pi * 220.0 * np.arange(2 * RATE) / RATE), RATE)
    done = library("analyse", music / "clicks.wav", "--only", "music", "--by", "librosa", "--json")
    found = json.loads(done.out)
    assert found["librosa_tempo"] == pytest.approx(120, rel=0.05)
    assert (found["kind"], found["kind_confidence"]) == (None, None), "what decides it was not asked for"
    assert found["tempo"] == pytest.approx(120, rel=0.002)
    assert np.diff(found["librosa_beats"]) == pytest.approx(0.5, abs=0.05)
    assert "librosa_tempo" not in library("analyse", music / "tone.wav", "--only", "loudness", "--json").out
