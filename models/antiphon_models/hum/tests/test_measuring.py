"""What `antiphon evaluate hum` counts, of its own test set and of anybody's files."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_hum.notes import FrameNote
from antiphon_hum.quantise import on_grid, timing
from antiphon_models.hum.evaluation import (
    TimedTranscription,
    cut,
    f1,
    files_in,
    lateness,
    octaves,
    score_own_files,
    single_note,
)
from antiphon_models.hum.matching import ENDS, note_f1
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
    assert np.allclose(lateness(CLIP, TimedTranscription(said, 0.07)), [0.07, 0.09, 0.17])
    assert lateness(CLIP, TimedTranscription(said)) == []


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
    notes = [FrameNote(at, at + 30000, 60 + n, 0.5) for n, at in enumerate([1000, 23000, 25500, 26000, 70000])]
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
    path.with_suffix(".csv").write_text("0.5,0.9,60\n0.9,0.9,62\n")
    assert own_clip(path).notes.tolist() == [[0.5, 0.9, 60.0]]
    path.with_suffix(".csv").write_text("0.5,0.9,261.6\n")
    with pytest.raises(UsageError, match=r"line 1: 261\.6 is no MIDI number"):
        own_clip(path)
    path.with_suffix(".csv").write_text("0.5,0.9,60\n1,oops,64\n")
    with pytest.raises(UsageError, match="line 2: three numbers"):
        own_clip(path)


def _notes(rng, count):
    starts = np.cumsum(rng.uniform(0.03, 0.4, count))
    return np.stack([starts, starts + rng.uniform(0.05, 0.5, count), rng.uniform(50, 54, count)], 1)


@pytest.mark.parametrize("ends", [None, ENDS])
def test_f1_is_mir_evals(ends):
    transcription = pytest.importorskip("mir_eval").transcription
    rng = np.random.default_rng(7)
    for _ in range(30):
        reference = _notes(rng, 25)
        found = np.concatenate([reference[rng.random(25) < 0.8], _notes(rng, 10)])
        found = found + rng.normal(0.0, [0.03, 0.05, 0.3], found.shape)
        found = found[(found[:, 1] > found[:, 0]) & (found[:, 0] >= 0)]
        hertz = [440.0 * 2.0 ** ((notes[:, 2] - 69.0) / 12.0) for notes in (reference, found)]
        whole = transcription.precision_recall_f1_overlap(
            reference[:, :2], hertz[0], found[:, :2], hertz[1], offset_ratio=ends
        )
        assert note_f1(reference, [tuple(row) for row in found], ends) == pytest.approx(whole[2], abs=1e-9)


def test_a_folder_is_its_sounds_with_notes_and_a_live_system_loses_one_offset(tmp_path):
    for name, suffix in (("one", ".txt"), ("two", ".csv"), ("alone", "")):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(48000), 48000)
        if suffix:
            (tmp_path / f"{name}{suffix}").write_text("0.1000\t0.3000\t60.40\n\n0.5000\t0.8000\t62.40\n")
    files = files_in(tmp_path)
    assert [path.name for path in files] == ["one.wav", "two.wav"]
    assert files_in(tmp_path / "one.wav") == ()

    def sung(up, by, late):
        return lambda clip: TimedTranscription([(a + by, b + by, p + up) for a, b, p in clip.notes], late)

    systems = {"flat": sung(-0.7, 0.0, None), "late": sung(0.0, 0.09, None), "late, live": sung(0.0, 0.09, 0.0)}
    values = {(v.system, v.measure): v.value for v in score_own_files(files, systems)}
    assert values["flat", "F1"] == 0.0
    assert values["flat", "F1, tuning out"] == 1.0
    assert values["late", "F1"] == 0.0
    assert values["late, live", "F1"] == 1.0
    assert values["late, live", "F1 of MIDI numbers"] == 1.0
    assert values["late, live", "notes found"] == 100.0
