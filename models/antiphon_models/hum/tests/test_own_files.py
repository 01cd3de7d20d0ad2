"""Note F1 and what `antiphon evaluate hum` does with anybody's files."""

import numpy as np
import pytest
import soundfile

from antiphon_models.hum.matching import ENDS, largest_matching, note_f1
from antiphon_models.hum.own_files import files_in, own_scores
from antiphon_models.hum.systems import Result


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


def test_the_largest_matching_is_not_the_first_that_fits():
    fits = np.array([[True, True, False], [True, False, False], [False, True, True]])
    assert largest_matching(fits) == 3
    assert largest_matching(np.zeros((2, 3), bool)) == 0


def test_a_folder_is_its_sounds_with_notes_and_a_live_system_loses_one_offset(tmp_path):
    for name, suffix in (("one", ".txt"), ("two", ".csv"), ("alone", "")):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(48000), 48000)
        if suffix:
            (tmp_path / f"{name}{suffix}").write_text("0.1000\t0.3000\t60.40\n\n0.5000\t0.8000\t62.40\n")
    files = files_in(tmp_path)
    assert [path.name for path in files] == ["one.wav", "two.wav"]
    assert files_in(tmp_path / "one.wav") == ()

    def sung(up, by, late):
        return lambda clip: Result([(a + by, b + by, p + up) for a, b, p in clip.notes], late, 0.1)

    systems = {"flat": sung(-0.7, 0.0, None), "late": sung(0.0, 0.09, None), "late, live": sung(0.0, 0.09, 0.0)}
    values = {(v.system, v.measure): v.value for v in own_scores(files, systems)}
    assert values["flat", "F1"] == 0.0
    assert values["flat", "F1, tuning out"] == 1.0
    assert values["late", "F1"] == 0.0
    assert values["late, live", "F1"] == 1.0
    assert values["late, live", "F1 of MIDI numbers"] == 1.0
    assert values["late, live", "notes found"] == 100.0
