"""Printed chords of scores, and chord files of data sets: they are what the band plays, and what it writes is read."""

from pathlib import Path

import pytest

from antiphon.api import UsageError
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_accompany.harmony.chords import KINDS, Chord, read_chord, substitute_chord
from antiphon_accompany.harmony.chordtext import replaced_chords_remark, spans_of, text_of
from antiphon_models.learning.user_commands import command

SHEET = (("F", "", ""), ("B", "-1", "D"), ("G", "", "C"))


def sheet(path: Path, *, slashes: bool = False) -> Path:
    """Three bars of F, Bb/D and G7/C over a tune of C, or over slashes."""
    head = "<notehead>slash</notehead>" if slashes else ""
    notes = f"<note><pitch><step>C</step><octave>5</octave></pitch><duration>1</duration>{head}</note>" * 4
    bars = ""
    for step, alter, bass in SHEET:
        kind = "dominant" if bass == "C" else "major"
        below = f"<bass><bass-step>{bass}</bass-step></bass>" if bass else ""
        root = f"<root-step>{step}</root-step><root-alter>{alter}</root-alter>"
        bars += f"<measure><harmony><root>{root}</root><kind>{kind}</kind>{below}</harmony>{notes}</measure>"
    path.write_text(f'<score-partwise><part-list/><part id="P1">{bars}</part></score-partwise>')
    return path


def melody(path: Path) -> Path:
    write_midi(path, [MidiTrack("melody", tuple(MidiNote(float(n), 1.0, 72) for n in range(12)))])
    return path


def labels(path: Path) -> list[str]:
    return [line.split()[2] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("slashes", [False, True])
@pytest.mark.parametrize("wish", [(), ("-p", "chords=file")])
def test_a_lead_sheet_is_played_by_its_printed_chords(tmp_path: Path, wish: tuple[str, ...], slashes: bool) -> None:
    source, chords = sheet(tmp_path / "lead.musicxml", slashes=slashes), tmp_path / "o.lab"
    said = command("run", "accompany", source, tmp_path / "o.mid", *wish, "--chords-out", chords)
    assert "by the printed chords" in said
    assert labels(chords) == ["F:maj", "Bb:maj/3", "G:7/4"]


def test_chords_of_a_sheet_are_those_of_another_tune(tmp_path: Path) -> None:
    source, given, chords = melody(tmp_path / "m.mid"), sheet(tmp_path / "lead.musicxml"), tmp_path / "o.jams"
    command("run", "accompany", source, tmp_path / "o.mid", "--chords", given, "--chords-out", chords)
    command("run", "accompany", source, tmp_path / "p.mid", "--chords", chords, "--chords-out", tmp_path / "p.lab")
    assert labels(tmp_path / "p.lab") == ["F:maj", "Bb:maj/3", "G:7/4"]


def test_a_written_sheet_has_degrees_and_is_read_again(tmp_path: Path) -> None:
    source, first, second = melody(tmp_path / "m.mid"), tmp_path / "a.musicxml", tmp_path / "b.musicxml"
    text = "| E7#9 C69 | F#-7b5 Gb6 | B7alt/D# Em |"
    command("run", "accompany", source, tmp_path / "a.mid", "--chords", text, "--chords-out", first)
    command("run", "accompany", first, tmp_path / "b.mid", "--chords-out", second)
    assert first.read_text() == second.read_text()
    assert text_of(str(first)) == "| E7#9 C69 | F#m7b5 Gb6 | B7alt/D# Em |"


def test_each_kind_is_read_again_from_musicxml(tmp_path: Path) -> None:
    names = [Chord(2, kind, 2).name for kind in KINDS]
    write_midi(tmp_path / "m.mid", [MidiTrack("", tuple(MidiNote(4.0 * n, 1.0, 74) for n in range(len(names))))])
    sheet = tmp_path / "a.musicxml"
    command(
        "run", "accompany", tmp_path / "m.mid", tmp_path / "a.mid", "--chords", " | ".join(names), "--chords-out", sheet
    )
    found = spans_of(text_of(str(sheet)), 4.0)
    assert [span.chord.name for span in found if span.chord] == names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C:(1,5)", "C5"), ("C:maj(*3)", "C5"), ("C/5", "C/G"), ("C:(3,5,b7)/5", "C7/G"), ("C:1", "C5"),
        ("A:min/b3", "Am/C"), ("C:7(*5,#11)", "C7b5"), ("C##:maj", "D"), ("C6/9", "C69"),
    ],
)  # fmt: skip
def test_labels_of_data_sets_are_read(text: str, name: str) -> None:
    chord = read_chord(text)
    assert chord is not None
    assert chord.name == name


def test_an_unknown_chord_is_none_and_counted(tmp_path: Path) -> None:
    text = "0.0 2.0 X\n2.0 4.0 C:maj13\n4.0 5.0 X\n"
    assert spans_of(text, 4.0, float)[0].chord is None
    assert replaced_chords_remark(text) == "C:maj13 as Cmaj9, 2 × X, an unknown chord, as none"
    assert substitute_chord("C:(1,5)") == ""


def test_lines_with_commas_and_a_header_are_read() -> None:
    spans = spans_of('start,end,chord\n0.0,2.0,"Dm7"\n2.0, 4.0, C:(1,5)\n', 4.0, float)
    assert [(span.start, span.end, span.chord and span.chord.name) for span in spans] == [(0, 2, "Dm7"), (2, 4, "C5")]


def test_lines_without_ends_last_until_the_next() -> None:
    spans = spans_of('0.0,"C"\n1.5,Am\n4.0,&pause\n6.0,G7\n', 4.0, float)
    found = [(span.start, span.end, span.chord and span.chord.name) for span in spans]
    assert found == [(0.0, 1.5, "C"), (1.5, 4.0, "Am"), (4.0, 6.0, None), (6.0, 8.0, "G7")]


def test_a_score_without_chords_is_refused(tmp_path: Path) -> None:
    path = sheet(tmp_path / "x.musicxml")
    path.write_text(path.read_text().replace("harmony", "print"))
    with pytest.raises(UsageError, match=r"x\.musicxml has no chord symbols; name a score that has"):
        text_of(str(path))
