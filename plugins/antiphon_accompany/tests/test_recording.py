"""A band beneath a recording: what of the sound is over full scale is said, as of every file that is written."""

from pathlib import Path

import pytest

from antiphon_accompany.files import recording
from antiphon_accompany.harmony.chordtext import spans_of


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ([(0.0, 1.0, "N"), (1.0, 5.0, "G:sus4"), (5.0, 9.0, "C:maj7/3")], 3),
        ([(0.0, 6.0, "N"), (6.0, 9.0, "G:7")], 0),
        ([], 0),
    ],
)
def test_a_recording_that_has_chords_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[tuple[float, float, str]], lines: int
) -> None:
    """A lone voice has few."""
    monkeypatch.setattr(recording, "analyse_file", lambda *_: {"music": (1, {"chords": found}, "")})
    text = recording.chords_of_sound(tmp_path / "in.wav").text
    assert text.count("\n") == lines
    assert not lines or [span.chord and span.chord.name for span in spans_of(text, 4.0, float)][1:] == [
        "Gsus4",
        "Cmaj7/E",
    ]
