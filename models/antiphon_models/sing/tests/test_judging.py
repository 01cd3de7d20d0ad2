"""The judge of words, and the peer festival."""

from __future__ import annotations

from shutil import which

import numpy as np
import pytest

from antiphon_models.sing.evaluation import score_of
from antiphon_models.sing.judges import WordJudge
from antiphon_models.sing.lines import OTHERS, SUNG, plain
from antiphon_models.sing.peers import FESTIVAL, festival, speak


@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng")
def test_what_is_spoken_is_chosen() -> None:
    pytest.importorskip("pocketsphinx")
    judge = WordJudge([*(plain(line.lyrics) for line in SUNG), *OTHERS])
    for number in (1, 9, 12):
        line = [*(plain(line.lyrics) for line in SUNG), *OTHERS][number]
        assert judge.chooses(*speak(line)) == number
    assert judge.chooses(np.zeros(8000, np.float32), 16000) == -1


@pytest.mark.skipif(which(FESTIVAL) is None, reason="no festival")
def test_festival_sings_a_line_as_long_as_its_score() -> None:
    notes = score_of(SUNG[5])
    sound, rate = festival(SUNG[5].lyrics, notes)
    assert len(sound) / rate == pytest.approx(notes[-1].end, abs=0.1)
    assert float(np.abs(sound[round(notes[0].start * rate) :]).max()) > 0.05
