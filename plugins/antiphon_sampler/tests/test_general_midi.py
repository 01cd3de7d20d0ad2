"""Names of General MIDI: instruments of the machine's soundfont, else of the kit."""

import shutil

import numpy as np
import pytest

from antiphon_sampler import general_midi, processor
from antiphon_sampler.general_midi import PROGRAMS, SAMPLED, nearest
from antiphon_sampler.tests.material import RATE
from antiphon_sampler.tests.test_motion import peak
from antiphon_sampler.tests.test_values import played


def heard(play, note: int, **values) -> np.ndarray:
    return play(list(played(0, s="gm_flute", note=note, **values)), RATE, library="", pads="named").audio[0][0]


def test_every_note_is_played_by_a_sample_two_semitones_away_at_most():
    assert len(PROGRAMS) == 128
    assert (PROGRAMS["gm_violin"], PROGRAMS["gm_flute"], PROGRAMS["gm_gunshot"]) == (40, 73, 127)
    assert max(abs(SAMPLED[nearest(note)] - note) for note in range(22, 99)) == 2


@pytest.mark.skipif(not (shutil.which("fluidsynth") and general_midi.soundfont()), reason="needs a soundfont")
def test_a_name_of_general_midi_is_played_by_the_soundfont_with_the_notes_values(play):
    for note, hertz in ((69, 440.0), (75, 622.25)):
        assert peak(heard(play, note)[RATE // 4 :]) == pytest.approx(hertz, rel=0.005)
    # the kit's flute, one sample of C5, is at an end long before
    assert np.abs(heard(play, 69)[-RATE // 10 :]).max() > 0.02
    dark = heard(play, 69, lpf=100.0, gain=0.5)
    assert np.abs(dark).max() < 0.2 * np.abs(heard(play, 69)).max()


def test_without_a_soundfont_the_kit_plays_it(play, monkeypatch):
    monkeypatch.setattr(processor, "soundfont", lambda: "")
    y = heard(play, 72)
    assert peak(y[: RATE // 2]) == pytest.approx(523.25, rel=0.01)
