"""Folders that are not as they should be: a sentence each, and what is good plays."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import Event, PluginError
from antiphon.api.backends.transports import VALUES_BEGIN
from antiphon.kernel.session.play import FIRST_WORD, word_controller_values
from antiphon.testing import render
from antiphon_sampler import library as folders, sounds
from antiphon_sampler.library import folder_of, list_folder
from antiphon_sampler.pads import drum_rows
from antiphon_sampler.processor import Sampler
from antiphon_sampler.tests.conftest import RATE, SPEC, burst, on, write


def test_folders_and_files_are_sorted_and_n_wraps(play, library):
    listing = list_folder(library)
    assert listing.names == ("bd", "four", "hh", "oh", "sd", "slow", "tone")
    assert [sample.name for sample in listing.samples[0]] == ["bd/a.wav", "bd/b.wav"]
    assert len(listing.samples[4]) == 1
    places = [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}, {"fromend": 1}, {"fromend": 2}]
    outs = [play([on(0)], 2500, s="bd", **place).audio[0] for place in places]
    for n, same in ((2, 0), (3, 1), (4, 1), (5, 0)):
        np.testing.assert_array_equal(outs[n], outs[same])
    np.testing.assert_allclose(outs[1][0, :1900], burst(2)[0, :1900], atol=1e-7)


def test_names_of_a_mac_are_found_however_their_accents_are_written(play, tmp_path):
    write(tmp_path / "ba\u0308ss" / "a.wav", burst(1))
    write(tmp_path / "hh" / "a.wav", burst(2))
    assert list_folder(tmp_path).names == ("bäss", "hh")
    kept = sounds.sounds_of(tmp_path, RATE)
    for said in ("bäss", "ba\u0308ss"):
        ways = (([on(0)], {"s": said}), ([*played_as(said, 60)], {"s": "hh"}), ([on(0, 40)], {"map": f"40={said}"}))
        for events, settings in ways:
            out = play(events, 2500, library=str(tmp_path), **settings).audio[0]
            np.testing.assert_allclose(out[0, :1900], burst(1)[0, :1900], atol=1e-7)
    assert kept.decoded_count == 1, "hh is not played"


def test_notes_choose_by_general_midi_name_else_by_place(play):
    rows = drum_rows(("bd", "four", "hh", "oh", "sd", "slow", "tone"))
    assert (rows[36], rows[38], rows[42], rows[46], rows[37]) == (0, 4, 2, 3, -1)
    fourth = play([on(0, 39)], 2500, pads="index").audio[0]
    np.testing.assert_allclose(fourth[0, :1900], burst(3)[0, :1900], atol=1e-7)
    second = play([on(0, 37)], 2500, s="bd").audio[0]
    np.testing.assert_allclose(second[0, :1900], burst(2)[0, :1900], atol=1e-7)
    octave = play([on(0, 72)], 30000, s="tone", pads="pitch", base=60).audio[0]
    spectrum = np.abs(np.fft.rfft(octave[0, 2000:22000] * np.hanning(20000)))
    assert abs(np.argmax(spectrum) * RATE / 20000 - 1000.0) < 2.5


def test_pads_by_name_play_what_the_map_says_and_the_others_as_before(play):
    mapped = {"map": "40=bd:1, 41=hh 42=oh@3 43=bd@3"}
    outs = [play([on(0, note)], 2500, **mapped).audio[0][0, :1900] for note in (40, 41, 36)]
    for out, seed in zip(outs, (2, 3, 1), strict=True):
        np.testing.assert_allclose(out, burst(seed)[0, :1900], atol=1e-7)
    choked = play([on(0, 42), on(9600, 43)], 20000, **mapped).audio[0]
    alone = play([on(9600, 43)], 20000, **mapped).audio[0]
    assert not (choked - alone)[0, 9600 + round(0.003 * RATE) + 1 :].any()
    named = play([on(0, 41)], 2500, s="bd", **mapped).audio[0][0, :1900]
    np.testing.assert_allclose(named, burst(3)[0, :1900], atol=1e-7)
    message = play([*played_as("bd", 41)], 2500, **mapped).audio[0][0, :1900]
    # a message that names its sound is not a pad: sound 0, counted on from the note as without a map
    assert not np.allclose(message, burst(3)[0, :1900], atol=1e-3)


def played_as(name, note):
    """The events of `/node/NAME/play s NAME note NOTE`."""
    yield Event("control", 0, VALUES_BEGIN, 1.0)
    yield from (Event("control", 0, FIRST_WORD, piece) for piece in word_controller_values("s", name))
    yield Event("on", 0, note, 1.0)


def layers_of(play, folder, velocities, **values):
    """Which of the bursts a note of each velocity plays, by their first frames."""
    beginnings = {round(float(burst(n)[0, 50]), 6): n for n in range(20, 30)}
    notes = [Event("on", 2500 * n, 36, v / 127) for n, v in enumerate(velocities)]
    y = play(notes, 2500 * len(notes), library=str(folder), sensitivity=0.0, **values).audio[0][0]
    return [beginnings[round(float(out), 6)] for out in y[50::2500]]


def test_layers_in_folders_share_the_velocities_and_are_one_sample(play, tmp_path):
    folder = tmp_path / "kit"
    for n in range(4):
        write(folder / "piano" / f"v{n + 1}" / "c4.wav", burst(20 + n))
    for n, layer in enumerate((10, 2)):
        write(folder / "piano" / f"v{layer}" / "e4.wav", burst(25 + n))
    listing = list_folder(folder)
    assert [(s.name, len(s.layers)) for s in listing.samples[0]] == [("piano/c4", 4), ("piano/e4", 2)]
    assert layers_of(play, folder, (1, 31, 32, 64, 95, 96, 127)) == [20, 20, 21, 22, 22, 23, 23]
    assert layers_of(play, folder, (1, 127), n=1) == [26, 25]


def test_three_digits_are_the_velocity_of_the_recording_and_the_nearest_plays(play, tmp_path):
    folder = tmp_path / "kit"
    for n, velocity in enumerate(("030", "090", "127")):
        write(folder / "bd" / f"deep_v{velocity}.wav", burst(20 + n))
        write(folder / "sd" / f"v{velocity}" / "0.wav", burst(20 + n))
    wanted = [20, 20, 21, 21, 21, 22, 22]
    assert layers_of(play, folder, (1, 59, 60, 90, 108, 109, 127), s="bd") == wanted
    assert layers_of(play, folder, (1, 59, 60, 90, 108, 109, 127), s="sd") == wanted
    assert [s.name for row in list_folder(folder).samples for s in row] == ["bd/deep", "sd/0"]


def test_what_is_no_layer_is_as_before(tmp_path):
    folder = tmp_path / "kit"
    write(folder / "v1" / "a.wav", burst(1))
    write(folder / "v1" / "b.wav", burst(2))
    write(folder / "bd" / "deeper" / "0.wav", burst(3))
    write(folder / "bd" / "x_v200.wav", burst(4))
    write(folder / "bd" / "x_v100.wav", burst(5))
    (folder / "bd" / "v3").write_text("no folder")
    found = list_folder(folder)
    assert [(s.name, len(s.layers)) for row in found.samples for s in row] == [
        ("bd/x", 2),
        ("v1/a.wav", 1),
        ("v1/b.wav", 1),
    ]
    # 200 is no velocity: the layers have equal shares
    assert found.samples[0][0].softest == (0.0, 0.5)
    assert not found.problems


def test_a_broken_layer_is_named_with_its_folders(play, tmp_path, capsys):
    folder = tmp_path / "kit"
    write(folder / "piano" / "v2" / "c4.wav", burst(20))
    (folder / "piano" / "v1").mkdir()
    (folder / "piano" / "v1" / "c4.wav").write_bytes(b"no sound")
    got = play([Event("on", 0, 36, 0.2), Event("on", 100, 36, 0.9)], 300, library=str(folder))
    assert got.reports["missed"] == 1
    assert "cannot read piano/v1/c4.wav: " in capsys.readouterr().err


def test_an_unknown_folder_is_counted_and_silent(play):
    got = play([on(0), on(500)], 2500, s="nowhere")
    assert got.reports["missed"] == 2
    assert not got.audio[0].any()


@each("name, why", [("nothing", "none at 'nothing'"), ("../kit", "not a name"), ("a/b", "not a")])
def test_a_folder_that_is_not_there_is_one_sentence(name, why):
    with pytest.raises(PluginError, match=why):
        folder_of(name)


def test_an_empty_folder_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "bd").mkdir()
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(PluginError, match=r"there is no sound in the folder .*it needs folders of files"):
        list_folder(tmp_path)


def test_a_link_out_of_the_folder_is_left_out_and_named(tmp_path, library):
    write(tmp_path / "kit" / "bd" / "0.wav", burst(1))
    (tmp_path / "kit" / "bd" / "1.wav").symlink_to(library / "oh" / "0.wav")
    (tmp_path / "kit" / "out").symlink_to(library / "oh")
    (tmp_path / "kit" / "bd" / "2.wav").symlink_to(tmp_path / "kit" / "bd" / "0.wav")
    found = list_folder(tmp_path / "kit")
    assert [sample.name for row in found.samples for sample in row] == ["bd/0.wav", "bd/2.wav"]
    assert sorted(found.problems) == [
        "bd/1.wav is a link that leads out of the folder; copy the file in instead",
        "out is a link that leads out of the folder; copy it in instead",
    ]


def test_a_broken_file_nan_and_an_empty_file_leave_the_others(play, tmp_path, capsys):
    folder = tmp_path / "kit"
    write(folder / "bd" / "0.wav", burst(1))
    bad = burst(1)
    bad[0, 700] = np.nan
    write(folder / "nan" / "0.wav", bad)
    (folder / "rag").mkdir()
    (folder / "rag" / "0.wav").write_bytes(b"RIFF\x10\0\0\0WAVEjunk")
    soundfile.write(folder / "rag" / "1.wav", np.zeros((0, 1)), RATE)
    notes = [Event("on", k * 3000, 36 + k, 1.0) for k in range(4)]
    got = play(notes, 20000, library=str(folder), pads="index")
    assert got.reports["missed"] == got.reports["unreadable"] == 3
    np.testing.assert_allclose(got.audio[0][0, :1900], burst(1)[0, :1900], atol=1e-7)
    assert not got.audio[0][0, 3000:].any()
    said = capsys.readouterr().err
    assert "nan/0.wav: its sample at 0.015 s is not a number" in said
    assert "rag/1.wav is not played: there is nothing in it" in said
    assert str(folder) not in said


def test_a_folder_that_is_a_file_and_a_file_that_is_a_folder_are_sentences(play, tmp_path, capsys):
    (tmp_path / "kit").write_text("no folder")
    with pytest.raises(PluginError, match=r"library takes a folder of sounds, and there is none at '.*kit'"):
        folder_of(str(tmp_path / "kit"))
    folder = tmp_path / "sounds"
    write(folder / "bd" / "0.wav", burst(1))
    (folder / "bd" / "1.wav").mkdir()
    os.mkfifo(folder / "bd" / "2.wav")
    got = play([on(0), on(3000, 37), on(5000, 38)], 6000, library=str(folder), pads="index")
    assert got.reports["missed"] == got.reports["unreadable"] == 2
    said = capsys.readouterr().err
    assert "cannot read bd/1.wav: it is a folder; name a sound file" in said
    assert "cannot read bd/2.wav: it is not an ordinary file" in said
    np.testing.assert_array_equal(got.audio[0][0, :1900], burst(1)[0, :1900])


def test_thousands_of_files_are_listed_and_decoded_as_they_are_asked_for(play, tmp_path):
    folder = tmp_path / "kit"
    write(folder / "bd" / "00000.wav", burst(7, 300))
    for n in range(1, 3000):
        (folder / "bd" / f"{n:05}.wav").hardlink_to(folder / "bd" / "00000.wav")
    got = play([Event("on", 10, 36, 1.0)], 1000, library=str(folder), s="bd", n=2999)
    assert (got.reports["files"], got.reports["loaded"], got.reports["missed"]) == (3000, 1, 0)
    assert got.audio[0][0, 10] == pytest.approx(0.9, abs=1e-5)
    assert not got.audio[0][0, :10].any()


def test_more_files_than_are_listed_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_FILES", 3)
    for name in ("a", "b"):
        for n in range(2):
            write(tmp_path / "kit" / name / f"{n}.wav", burst(1, 10))
    found = list_folder(tmp_path / "kit")
    assert found.files == 3
    assert "holds more than 3 sounds; those after b are left out" in found.problems[0]


def test_memory_is_bounded_and_the_sentence_says_so(play, tmp_path, capsys, monkeypatch, library):
    shutil.copytree(library / "bd", tmp_path / "kit" / "bd")
    monkeypatch.setattr(sounds, "MAX_BYTES", 10000)
    got = play([on(0), on(3000, 37)], 6000, library=str(tmp_path / "kit"), s="bd")
    assert (got.reports["loaded"], got.reports["unreadable"], got.reports["missed"]) == (1, 1, 1)
    assert "held in memory; make several folders of it" in capsys.readouterr().err


def test_a_sampler_at_rest_reports_what_it_holds(library, tmp_path):
    folder = Path(shutil.copytree(library, tmp_path / "kit"))
    (folder / "bd" / "c.wav").write_text("no sound")
    held = sounds.sounds_of(folder, RATE)
    while held.read_next():
        pass

    class AtRest(Sampler):
        def process(self, io):
            io.audio_out[0].fill(0.0)
            for name, (array, place) in self.step(io).reports.items():
                io.report(name, array[place])

    got = render(AtRest(), SPEC, np.zeros((2, 256), np.float32), {"library": str(folder)})
    assert (got.reports["files"], got.reports["unreadable"], got.reports["sounding"]) == (10, 1, 0)


def test_live_the_samples_are_there_before_the_node_plays(library):
    made = sounds.Sounds(list_folder(library), RATE)
    made.start()
    made.wait(60.0)
    assert made.complete
    assert made.decoded_count == 9
    assert all(made.get(n) is not None for n in range(9))
