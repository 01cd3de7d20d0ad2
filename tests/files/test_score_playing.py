"""MusicXML as it is played: printed chords, slashes, dynamics, swing, quarter tones; what no note plays is named."""

from pathlib import Path

import pytest

from antiphon.files.scores import midifile
from antiphon.files.scores.musicxml import Score, read
from antiphon.kernel.runtime.notices import collect

HEAD = "<divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time>"


def note(step: str = "C", length: int = 2, more: str = "", alter: str = "0") -> str:
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>5</octave></pitch>"
    return f"<note>{pitch}<duration>{length}</duration>{more}</note>"


def harmony(root: str, kind: str = "major", more: str = "", alter: int = 0) -> str:
    name = f"<root><root-step>{root}</root-step><root-alter>{alter}</root-alter></root>"
    return f"<harmony>{name}<kind>{kind}</kind>{more}</harmony>"


def degree(value: int, alter: int, how: str) -> str:
    inner = f"<degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter><degree-type>{how}</degree-type>"
    return f"<degree>{inner}</degree>"


def direction(content: str, more: str = "") -> str:
    return f"<direction><direction-type>{content}</direction-type>{more}</direction>"


def score(folder: Path, *measures: str, head: str = HEAD, late: bool = False) -> Path:
    """A score of one part; `late`: its attributes stand behind the first measure's notes."""
    attributes = f"<attributes>{head}</attributes>"
    first = measures[0] + attributes if late else attributes + measures[0]
    bars = "".join(f"<measure>{one}</measure>" for one in (first, *measures[1:]))
    path = folder / "x.musicxml"
    parts = '<part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list>'
    path.write_text(f'<score-partwise>{parts}<part id="P1">{bars}</part></score-partwise>')
    return path


def chords(folder: Path, *measures: str, head: str = HEAD) -> list[tuple[float, str]]:
    return list(read(score(folder, *measures, head=head)).chords)


def test_printed_chords_stand_at_their_beat_and_offset(tmp_path: Path) -> None:
    four = note(length=8)
    first = harmony("F") + harmony("B", more="<offset>4</offset>", alter=-1) + four
    below = "<bass><bass-step>D</bass-step></bass>"
    again = '<barline location="right"><repeat direction="backward"/></barline>'
    assert chords(tmp_path, first, harmony("B", "minor-seventh", below) + four + again) == [
        (0.0, "F"), (2.0, "Bb"), (4.0, "Bm7/D"), (8.0, "F"), (10.0, "Bb"), (12.0, "Bm7/D"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more", "wanted"),
    [
        ("dominant", degree(9, 1, "add"), "E7(#9)"),
        ("dominant", degree(5, 1, "alter") + degree(9, -1, "add"), "E7(#5)(b9)"),
        ("major-sixth", degree(9, 0, "add"), "E6(add9)"),
        ("major", degree(3, 0, "subtract"), "E(no3)"),
        ("half-diminished", "", "Em7b5"),
        ("diminished-seventh", "", "Edim7"),
        ("other", degree(4, 0, "add") + degree(7, 0, "add"), "E:(1,4,b7)"),
        ("minor-seventh", "<inversion>1</inversion>", "Em7/G"),
        ("none", "", "N"),
        ("unheard-of", "", "E:(1)"),
    ],
)
def test_kinds_and_degrees_are_symbols_or_labels(tmp_path: Path, kind: str, more: str, wanted: str) -> None:
    assert chords(tmp_path, harmony("E", kind, more) + note(length=8)) == [(0.0, wanted)]


def test_chords_of_a_transposing_part_sound_as_it_does(tmp_path: Path) -> None:
    head = f"{HEAD}<transpose><chromatic>-2</chromatic></transpose>"
    assert chords(tmp_path, harmony("C", "dominant") + note(length=8), head=head) == [(0.0, "Bb7")]


def test_slashes_are_no_tune_and_a_bar_sign_repeats(tmp_path: Path) -> None:
    slash = note(more="<notehead>slash</notehead>") * 4
    style = "<attributes><measure-style>{}</measure-style></attributes>"
    start = style.format('<slash type="start"/>') + note() * 4
    stop = style.format('<slash type="stop"/>') + harmony("A") + note("D") * 4
    again = (
        style.format('<measure-repeat type="start">1</measure-repeat>') + "<note><rest/><duration>8</duration></note>"
    )
    found = read(score(tmp_path, slash, start, stop, again))
    assert [one.start for one in found.parts[0].notes] == [8, 9, 10, 11, 12, 13, 14, 15]
    assert found.chords == ((8.0, "A"), (12.0, "A"))


def test_divisions_behind_the_first_notes_are_theirs_too(tmp_path: Path) -> None:
    found = read(score(tmp_path, note() * 4, note() * 4, late=True))
    assert found.length == 8.0
    assert [one.start for one in found.parts[0].notes] == [0, 1, 2, 3, 4, 5, 6, 7]


def velocities(path: Path) -> list[float]:
    return [127 * one.velocity for track in midifile.read(path).tracks for one in track.notes]


def test_dynamics_hairpins_and_accents_are_velocities(tmp_path: Path) -> None:
    marks = [direction(f"<dynamics><{tag}/></dynamics>") for tag in ("p", "sfz", "fp")]
    accent = "<notations><articulations><accent/></articulations></notations>"
    wedge = '<wedge type="{}"/>'
    one = note() + marks[0] + note() + note(more=accent) + marks[1] + note()
    two = marks[2] + note() + direction(wedge.format("crescendo")) + note() + note() + direction(wedge.format("stop"))
    found = velocities(score(tmp_path, one, two + direction("<dynamics><f/></dynamics>") + note()))
    assert found == pytest.approx([102, 49, 65, 112, 96, 49, 72.5, 96], abs=0.6)


def test_a_repeat_is_as_loud_as_what_comes_before_it(tmp_path: Path) -> None:
    again = '<barline location="right"><repeat direction="backward"/></barline>'
    loud = direction("", '<sound dynamics="100"/>')
    found = velocities(score(tmp_path, note(length=8), loud + note(length=8) + again))
    assert found == pytest.approx([102, 90, 90, 90])


def test_swung_and_short_notes_sound_so(tmp_path: Path) -> None:
    swing = "<sound><swing><first>2</first><second>1</second></swing></sound>"
    short = "<notations><articulations><staccato/></articulations></notations>"
    path = score(tmp_path, swing + note(length=1) * 4 + note(more=short) + note())
    notes = midifile.read(path).tracks[-1].notes
    assert [one.start for one in notes] == pytest.approx([0, 2 / 3, 1, 5 / 3, 2, 3], abs=0.002)
    assert [one.length for one in notes] == pytest.approx([2 / 3, 1 / 3, 2 / 3, 1 / 3, 0.5, 1], abs=0.003)
    words = direction("<words>Medium Swing</words>")
    assert read(score(tmp_path, words + note(length=8))).swing == ((0.0, pytest.approx(2 / 3), 0.5),)


def test_quarter_tones_are_bent_on_a_channel_of_their_own(tmp_path: Path) -> None:
    path = score(tmp_path, note("D", alter="0.5") + note("E", alter="-0.5") + note() + note("F", alter="1.5"))
    plain, bent = (track for track in midifile.read(path).tracks if track.notes)
    assert [one.number for one in plain.notes] == [72]
    assert [one.number for one in bent.notes] == [74, 76, 78]
    assert [one.value for one in bent.controls] == pytest.approx([0.25, -0.25, 0.25], abs=1e-3)
    assert plain.notes[0].channel != bent.notes[0].channel


def test_what_no_note_plays_is_named(tmp_path: Path) -> None:
    trill = "<notations><ornaments><trill-mark/></ornaments><fermata/></notations>"
    grace = "<note><grace/><pitch><step>D</step><octave>5</octave></pitch></note>"
    path = score(tmp_path, grace * 2 + note(more=trill) + direction('<pedal type="start"/>') + note() + "<zork/>")
    with collect() as notices:
        midifile.read(path)
    assert notices.take(str(path)) == (
        "without 1 unknown element (zork), 2 grace notes, 1 trill, 1 fermata and 1 pedal of IN",
    )


def test_words_and_sounds_that_nobody_plays_are_named(tmp_path: Path) -> None:
    change = '<sound><midi-instrument id="x"><midi-program>46</midi-program></midi-instrument></sound>'
    words = (
        direction("<words>poco rit.</words>") + direction("<words>accel.</words>") + direction("<words>dolce</words>")
    )
    path = score(tmp_path, change + words + note(length=8))
    with collect() as notices:
        midifile.read(path)
    assert notices.take(str(path)) == ("without 1 instrument change and 2 tempo ramps of IN",)


def test_pitches_of_a_part_on_channel_10_are_drums(tmp_path: Path) -> None:
    path = score(tmp_path, note("C"), note("D"))
    kit = '<midi-instrument id="x"><midi-channel>10</midi-channel><pan>-45</pan></midi-instrument></score-part>'
    path.write_text(path.read_text().replace("</score-part>", kit))
    (track,) = (one for one in midifile.read(path).tracks if one.notes)
    assert [(one.number, one.channel) for one in track.notes] == [(72, 10), (74, 10)]
    assert read(path).unused == (("part pan", 1),)


def test_a_score_is_as_long_as_its_bars(tmp_path: Path) -> None:
    rest = "<note><rest/><duration>6</duration></note>"
    found: Score = read(path := score(tmp_path, note(length=8), note() + rest))
    assert midifile.read(path).length == found.length == 8.0


@pytest.mark.parametrize(
    ("bar", "signature"),
    [
        (note(length=2 * 300), (150, 2)),  # a chant in one bar
        (note(length=2 * 20) + note(length=1), (41, 8)),
    ],
)
def test_bars_beyond_what_midi_counts_are_written(tmp_path: Path, bar: str, signature: tuple[int, int]) -> None:
    written = midifile.read(score(tmp_path, bar)).signatures
    assert written[0][1:] == signature


def test_beats_that_midi_cannot_name_are_quarters(tmp_path: Path) -> None:
    head = "<divisions>2</divisions><time><beats>3</beats><beat-type>6</beat-type></time>"
    assert midifile.read(score(tmp_path, note(length=4), head=head)).signatures[0][1:] == (2, 4)
