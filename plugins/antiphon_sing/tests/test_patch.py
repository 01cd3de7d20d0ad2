"""The patches `cantor` and `choir`, and scripts that sing on them."""

import numpy as np
import pytest
import soundfile

from antiphon.cli import main
from antiphon.kernel.runtime.resources import patches
from antiphon_sing import processor
from antiphon_sing.tests.singing import RATE, FakeTexts, cents

SCRIPT = """
from antiphon.live import node, note, patch, sing, tempo, track
patch("cantor")
tempo(120)
node("cantor").vibrato = 0
track("voice", sing("{}", note("c4 g4")), on="cantor")
"""


def rendered(tmp_path, monkeypatch, lyrics, script=SCRIPT, bars=2):
    monkeypatch.setattr(processor, "texts", FakeTexts)
    source, out = tmp_path / "set.py", tmp_path / "out.wav"
    source.write_text(script.replace("{}", lyrics))
    monkeypatch.setattr("sys.argv", ["antiphon", "render", str(source), "--bars", str(bars), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, out


def test_a_script_sings_its_own_words(tmp_path, monkeypatch):
    code, out = rendered(tmp_path, monkeypatch, "la li")
    assert code == 0
    sound = soundfile.read(out)[0].T[0]
    assert np.abs(sound).max() > 0.01
    assert abs(cents(sound, 0.6, 60)) < 10
    assert abs(cents(sound, 1.6, 67)) < 20
    assert len(sound) >= 4 * RATE


def test_syllables_without_notes_are_refused_with_both_counts(tmp_path, monkeypatch, capsys):
    code, _ = rendered(tmp_path, monkeypatch, "la li lu")
    assert code != 0
    assert "3 syllables for 4 notes in 2 cycles" in capsys.readouterr().err


def test_the_round_has_words_for_four_singers_who_come_one_after_the_other(tmp_path, monkeypatch):
    code, out = rendered(tmp_path, monkeypatch, "", (patches() / "live" / "round.py").read_text(), 5)
    assert code == 0
    sound = soundfile.read(out)[0].T
    bar = 2 * 60 / 104
    first = sound.mean(axis=0)
    for at, number in ((0.3, 60), (1.7, 64)):  # in bars: "row", "boat"
        assert abs(cents(first, at * bar, number)) < 30
    left, right = (
        np.sqrt(np.mean(sound[:, round(a * bar * RATE) : round((a + 1.9) * bar * RATE)] ** 2, 1)) for a in (0, 2)
    )
    assert left[0] > 1.3 * left[1]  # the soprano alone is left
    assert right[1] / right[0] > 1.1 * left[1] / left[0]  # the alto is further right
