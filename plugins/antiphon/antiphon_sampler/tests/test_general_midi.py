"""Names of General MIDI: instruments of the machine's soundfont, else of the kit."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import until

from antiphon.api.backends.runtime import spawn
from antiphon_sampler import general_midi, processor, sounds
from antiphon_sampler.general_midi import PROGRAMS, SAMPLED
from antiphon_sampler.library import nearest_sampled
from antiphon_sampler.tests.conftest import RATE
from antiphon_sampler.tests.test_motion import peak
from antiphon_sampler.tests.test_values import played


def heard(play, note: int, **values) -> np.ndarray:
    return play(list(played(0, s="gm_flute", note=note, **values)), RATE, library="", pads="named").audio[0][0]


def test_every_note_is_played_by_a_sample_two_semitones_away_at_most():
    assert len(PROGRAMS) == 128
    assert (PROGRAMS["gm_violin"], PROGRAMS["gm_flute"], PROGRAMS["gm_gunshot"]) == (40, 73, 127)
    assert max(abs(SAMPLED[nearest_sampled(note, SAMPLED)[0]] - note) for note in range(22, 99)) == 2


@pytest.mark.skipif(not (shutil.which("fluidsynth") and general_midi.soundfont()), reason="needs a soundfont")
def test_a_name_of_general_midi_is_played_by_the_soundfont_with_the_notes_values(play):
    bright, other, dark = heard(play, 69), heard(play, 75), heard(play, 69, lpf=100.0, gain=0.5)
    for sound, hertz in ((bright, 440.0), (other, 622.25)):
        assert peak(sound[RATE // 4 :]) == pytest.approx(hertz, rel=0.005)
    # the kit's flute, one sample of C5, is at an end long before
    assert np.abs(bright[-RATE // 10 :]).max() > 0.02
    assert np.abs(dark).max() < 0.2 * np.abs(bright).max()


def test_without_a_soundfont_the_kit_plays_it(play, monkeypatch):
    monkeypatch.setattr(processor, "soundfont", lambda: "")
    y = heard(play, 72)
    assert peak(y[: RATE // 2]) == pytest.approx(523.25, rel=0.01)


@pytest.fixture
def instruments(tmp_path, monkeypatch) -> general_midi.GeneralMidi:
    """Instruments of which a helper writes the samples that `written` names; `started` has what was rendered."""
    (tmp_path / "font.sf2").write_bytes(b"font")
    monkeypatch.setattr(general_midi, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(general_midi, "soundfont", lambda: f"plays General MIDI by {tmp_path / 'font.sf2'}")
    made = general_midi.GeneralMidi(RATE)
    made.started, made.written, made.program = [], SAMPLED, ["true"]

    def helper(_function, name, folder, **_limits):
        made.started.append(name)
        if not made.written:
            raise OSError("no process")
        Path(folder).mkdir(parents=True, exist_ok=True)
        for note in made.written:
            soundfile.write(f"{folder}/{note}.wav", np.full((4800, 2), 0.1), 48000)
        return spawn(made.program)

    monkeypatch.setattr(general_midi, "spawn", helper)
    return made


def test_an_instrument_that_fails_is_tried_again_after_a_minute_not_with_every_note(instruments, monkeypatch):
    instruments.written, now = (), [1000.0]
    monkeypatch.setattr(general_midi.time, "monotonic", lambda: now[0])
    assert [instruments.decode(place) for place in (0, 0, 5)] == [None] * 3
    assert len(instruments.started) == 1
    now[0], instruments.written = 1061.0, SAMPLED
    assert instruments.decode(5) is not None
    instruments._paths[3].unlink()
    assert instruments.decode(3) is not None, "a file was missing"
    assert len(instruments.started) == 3


@pytest.mark.parametrize(
    ("program", "why"),
    [(["true"], "the soundfont plays nothing of it"), (["sleep", "60"], "this machine is too slow to render it")],
)
def test_why_an_instrument_is_not_played_is_said(instruments, monkeypatch, program, why):
    said: list[str] = []
    monkeypatch.setattr(general_midi, "say", said.append)
    monkeypatch.setattr(general_midi, "SECONDS", 60.0 if program == ["true"] else 0.05)
    instruments.written, instruments.program = SAMPLED[:1], program
    assert instruments.decode(0) is None
    assert said == [f"gm_piano is not played: {why}; it is tried again after 60 s"]


def test_those_played_longest_ago_make_room(instruments, monkeypatch):
    size = instruments.decode(0).sound.nbytes
    monkeypatch.setattr(sounds, "MAX_BYTES", 3 * size)
    for place in (1, 2, 3):
        instruments.get(place)
        instruments.get(0)
        instruments.decode(place)
    assert [instruments.get(place) is not None for place in range(4)] == [True, False, True, True]
    assert instruments.decoded_count == 3


def test_another_font_at_a_path_has_another_folder_beside(tmp_path):
    font = tmp_path / "a.sf2"
    font.write_bytes(b"one")
    first = general_midi.key_of(str(font))
    font.write_bytes(b"other")
    assert general_midi.key_of(str(font)) != first
    assert general_midi.key_of(str(font)).partition("-")[0] == first.partition("-")[0]


def test_a_note_wakes_the_loader(instruments):
    instruments.start()
    thread = instruments._thread
    instruments.get(7)
    until(lambda: instruments.get(7) is not None, 10.0, "it is loaded")
    assert thread.is_alive()
