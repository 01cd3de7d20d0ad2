"""The patch `cantor`, and scripts that sing on it."""

import numpy as np
import pytest
import soundfile

from antiphon.cli import main
from antiphon_sing import processor
from antiphon_sing.tests.singing import RATE, Texts, cents

SCRIPT = """
from antiphon.live import node, note, patch, sing, tempo, track
patch("cantor")
tempo(120)
node("cantor").vibrato = 0
track("voice", sing("{}", note("c4 g4")), on="cantor")
"""


def rendered(tmp_path, monkeypatch, lyrics):
    monkeypatch.setattr(processor, "texts", Texts)
    script, out = tmp_path / "set.py", tmp_path / "out.wav"
    script.write_text(SCRIPT.format(lyrics))
    monkeypatch.setattr("sys.argv", ["antiphon", "render", str(script), "--bars", "2", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, out


def test_a_script_sings_its_own_words(tmp_path, monkeypatch):
    code, out = rendered(tmp_path, monkeypatch, "la li")
    assert code == 0
    sound = soundfile.read(out)[0].T[0]
    assert np.abs(sound).max() > 0.01
    assert abs(cents(sound, 0.6, 60)) < 10
    assert abs(cents(sound, 1.6, 67)) < 10
    assert len(sound) >= 4 * RATE


def test_syllables_without_notes_are_refused_with_both_counts(tmp_path, monkeypatch, capsys):
    code, _ = rendered(tmp_path, monkeypatch, "la li lu")
    assert code != 0
    assert "3 syllables for 4 notes in 2 cycles" in capsys.readouterr().err
