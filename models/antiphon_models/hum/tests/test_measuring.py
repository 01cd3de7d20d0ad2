"""What `antiphon evaluate hum` counts, and how a tempo is found."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_hum.transcription.notes import Note
from antiphon_hum.transcription.quantise import on_grid, timing
from antiphon_models.hum.evaluation import f1, lateness, octaves
from antiphon_models.hum.peers import cut, single_note
from antiphon_models.hum.systems import Result
from antiphon_models.hum.testset import RATE, Clip, own_clip

ROWS = np.array([[0.5, 0.9, 60.0], [1.0, 1.4, 64.0], [1.5, 1.9, 67.0], [2.0, 2.4, 60.0]])
CLIP = Clip("four", np.zeros(3 * RATE, np.float32), ROWS, np.zeros(0))
RIGHT = [(a, b, p) for a, b, p in ROWS]


def test_notes_count_where_beginning_and_pitch_are_right_and_ends_only_when_asked():
    assert f1(CLIP, RIGHT) == 1.0
    assert f1(CLIP, [(a + 0.04, b + 0.3, p) for a, b, p in RIGHT]) == 1.0
    assert f1(CLIP, [(a + 0.04, b + 0.3, p) for a, b, p in RIGHT], 0.2) == 0.0
    assert f1(CLIP, [(a + 0.06, b, p) for a, b, p in RIGHT]) == 0.0
    assert f1(CLIP, [*RIGHT[:2], *[(a, b, p + 1) for a, b, p in RIGHT[2:]]]) == 0.5
    assert f1(CLIP, single_note(CLIP.sound, RATE)) == 0.0


def test_octave_errors_are_of_notes_that_are_heard():
    assert octaves(CLIP, RIGHT) == 0.0
    assert octaves(CLIP, [(a, b, p - 12) for a, b, p in RIGHT[:1]] + RIGHT[1:]) == 25.0
    assert np.isnan(octaves(CLIP, []))


def test_lateness_is_from_the_beginning_to_the_note_of_its_pitch():
    said = [(0.5, 0.9, 60.0), (1.02, 1.4, 64.0), (1.5, 1.6, 66.0), (1.6, 1.9, 67.0)]
    assert np.allclose(lateness(CLIP, Result(said, 0.07, 1.0)), [0.07, 0.09, 0.17])
    assert lateness(CLIP, Result(said, None, 1.0)) == []


def test_a_pitch_track_is_cut_where_it_changes_and_where_it_stops():
    track = np.repeat([60.0, 62.0, np.nan, 62.0], 20)
    found = cut(track, np.zeros(80), 0.01)
    assert [round(p) for _, _, p in found] == [60, 62, 62]
    assert found[1][0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("bpm", "grid"), [(72.0, "1/4"), (97.0, "1/8"), (133.0, "1/8")])
def test_a_tempo_is_found_in_unsteady_beginnings(bpm, grid):
    rng = np.random.default_rng(5)
    places = np.cumsum(rng.choice([1.0, 1.0, 0.5, 0.5, 2.0] if grid == "1/8" else [1.0, 1.0, 2.0], 40))
    starts = places * 60.0 / bpm + 0.37 + 0.015 * rng.standard_normal(40)
    found, beat = timing(list(starts), grid, 0.0)
    assert found == pytest.approx(bpm, rel=0.01)
    line = 60.0 / bpm * (0.5 if grid == "1/8" else 1.0)
    assert abs(((beat - 0.37) / line + 0.5) % 1.0 - 0.5) < 0.1
    assert timing(list(starts), grid, 100.0) == (100.0, 0.0)


def test_moved_notes_keep_their_order_and_one_sounds_at_a_time():
    notes = [Note(at, at + 30000, 60 + n, 0.5) for n, at in enumerate([1000, 23000, 25500, 26000, 70000])]
    moved = on_grid(notes, 48000, "1/4", 120.0, 0.0, 80000)
    assert [n.start for n in moved] == [0, 24000, 48000, 72000]
    assert all(a.end <= b.start for a, b in pairwise(moved))
    assert moved[-1].end <= 80000


def test_files_of_ones_own_need_notes_beside_them(tmp_path):
    path = tmp_path / "mine.wav"
    soundfile.write(path, np.zeros(1000), 8000)
    with pytest.raises(UsageError, match=r"no notes beside it .*mine\.csv with a line a note"):
        own_clip(path)
    path.with_suffix(".csv").write_text("start,end,number\n0.5,0.9,60\n1,1.4,64\n")
    assert own_clip(path).notes.tolist() == [[0.5, 0.9, 60.0], [1.0, 1.4, 64.0]]
    path.with_suffix(".csv").write_text("0.5,0.9,60\n1,oops,64\n")
    with pytest.raises(UsageError, match="line 2: three numbers"):
        own_clip(path)
