"""The place in a score, measured on performances with annotated beats."""

from pathlib import Path

import pytest

from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_models.follow.score_evaluation import ScoreFollowing
from antiphon_models.learning.evaluation import EvaluationRequest

NOTE = "<note><pitch><step>{}</step><alter>{}</alter><octave>4</octave></pitch><duration>1</duration></note>"
CHROMATIC = "CCDDEFFG"
SCALE = [MidiTrack("piano", tuple(MidiNote(float(n), 0.9, 60 + n, 0.7) for n in range(8)), 0)]


def piece(folder: Path, annotations: str) -> None:
    """A performance of a scale at its score's tempo."""
    folder.mkdir()
    for name, text in (("midi_score", "".join(f"{n / 2}\t{n / 2}\tb\n" for n in range(8))), ("played", annotations)):
        write_midi(folder / f"{name}.mid", SCALE, 120.0)
        (folder / f"{name}_annotations.txt").write_text(text)


@pytest.mark.parametrize(
    "annotations",
    ["", "".join(f"{n / 2}\t{n / 2}\tbR\n" for n in range(8)), "".join(f"{n + 200}\t{n + 200}\tb\n" for n in range(8))],
)
def test_a_piece_without_beats_is_left_out_and_the_others_are_measured(tmp_path: Path, annotations: str) -> None:
    piece(tmp_path / "a", annotations)
    piece(tmp_path / "b", "".join(f"{n / 2}\t{n / 2}\tb\n" for n in range(8)))
    notes = "".join(NOTE.format(step, int(CHROMATIC[n - 1] == step)) for n, step in enumerate(CHROMATIC))
    head = "<attributes><divisions>1</divisions></attributes>"
    (tmp_path / "b" / "xml_score.musicxml").write_text(
        f'<score-partwise><part-list/><part id="P1"><measure number="1">{head}{notes}</measure></part></score-partwise>'
    )
    said: list[str] = []
    evaluation = ScoreFollowing()
    ask = EvaluationRequest(tmp_path, tmp_path, files=evaluation.files_in(tmp_path), say=said.append)
    values = list(evaluation.scores(ask))
    assert {value.item for value in values} == {"b/played"}
    found = {v.system: v.value for v in values if v.measure == "within 100 ms"}
    assert found["follow"] == found["follow, MusicXML"] == 1.0
    assert any("played.mid is left out" in line for line in said)
