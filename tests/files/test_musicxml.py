"""MusicXML: what is played of hand-written scores, feature by feature; what is no score, in one sentence."""

import io
import random
import zipfile
from functools import partial
from pathlib import Path

import pytest
from tests import accepted

from antiphon.files.scores.musicxml import MAX_BYTES, Score, read
from antiphon.files.scores.score_form import MAX_PLAYED
from antiphon.kernel.errors import FileError

DIVISIONS = "<divisions>1</divisions>"
IMPLICIT = 'implicit="yes"'
COMMON = "<time><beats>4</beats><beat-type>4</beat-type></time>"


def note(text: str, more: str = "", voice: int = 1) -> str:
    """A note as "c4 2": step, octave and duration; "r 2" is a rest, "+e4 2" one of the chord before it."""
    name, _, length = text.partition(" ")
    chord, name = ("<chord/>", name[1:]) if name[0] == "+" else ("", name)
    if name == "r":
        what = "<rest/>"
    else:
        alter = {"#": "<alter>1</alter>", "b": "<alter>-1</alter>"}.get(name[1], "")
        what = f"<pitch><step>{name[0].upper()}</step>{alter}<octave>{name[-1]}</octave></pitch>"
    duration = f"<duration>{length}</duration>" if length else ""
    grace = "" if length else "<grace/>"
    return f"<note>{grace}{chord}{what}{duration}<voice>{voice}</voice>{more}</note>"


def measure(number: object, *content: str, attributes: str = "", more: str = "") -> str:
    held = f"<attributes>{attributes}</attributes>" if attributes else ""
    body = "".join(one if not one or one.startswith("<") else note(one) for one in content)
    return f'<measure number="{number}" {more}>{held}{body}</measure>'


def part(*measures: str, name: str = "P1") -> str:
    """The first of these has one division a quarter, in common time, unless it says more."""
    head, mark, rest = measures[0].partition("<attributes>")
    given = "".join(text for mark, text in (("<divisions>", DIVISIONS), ("<time>", COMMON)) if mark not in measures[0])
    first = f"{head}<attributes>{given}"
    if not mark:
        head, _, rest = measures[0].partition(">")
        first = f"{head}><attributes>{DIVISIONS}{COMMON}</attributes>"
    return f'<part id="{name}">{first}{rest}{"".join(measures[1:])}</part>'


def score(*parts: str, listed: str = "") -> str:
    names = "".join(
        f'<score-part id="P{n}"><part-name>Part {n}</part-name></score-part>' for n in range(1, len(parts) + 1)
    )
    inner = f"<part-list>{listed or names}</part-list>{''.join(parts)}"
    return f'<?xml version="1.0"?><score-partwise>{inner}</score-partwise>'


def played(folder: Path, *measures: str) -> Score:
    (folder / "x.musicxml").write_text(score(part(*measures)))
    return read(folder / "x.musicxml")


def rows(found: Score, of: int = 0) -> list[tuple[float, float, int]]:
    return [(one.start, one.length, one.number) for one in found.parts[of].notes]


def sound(**attributes: str) -> str:
    return f"<sound {' '.join(f'{name}={chr(34)}{text}{chr(34)}' for name, text in attributes.items())}/>"


FORWARD = '<barline location="left"><repeat direction="forward"/></barline>'
BACKWARD = '<barline location="right"><repeat direction="backward"/></barline>'


def ending(number: str, *, starts: bool = True, stops: str = "stop", back: bool = False) -> tuple[str, str]:
    """The bar lines of an ending, at the left and at the right of a measure."""
    left = f'<barline location="left"><ending number="{number}" type="start"/></barline>' if starts else ""
    repeat = '<repeat direction="backward"/>' if back else ""
    closing = f'<ending number="{number}" type="{stops}"/>' if stops else ""
    return left, f'<barline location="right">{closing}{repeat}</barline>'


WORDS = "<direction><direction-type><words>{}</words></direction-type></direction>"
SIGN = "<direction><direction-type><{}/></direction-type></direction>"


def order(folder: Path, *signs: tuple[str, ...]) -> str:
    """Letters of measures as they are played; each has a whole note, between what is at its left and right."""
    made = [
        measure(chr(97 + n), *(one for one in said if "left" in one or "<direction>" in one), "c4 4",
                *(one for one in said if not ("left" in one or "<direction>" in one)))
        for n, said in enumerate(signs)
    ]  # fmt: skip
    found = played(folder, *made)
    assert [one.start for one in found.measures] == [4.0 * n for n in range(len(found.measures))]
    assert [one.start for one in found.parts[0].notes] == [one.start for one in found.measures]
    return "".join(one.name for one in found.measures)


PLAIN: tuple[str, ...] = ()
FIRST, SECOND = ending("1", back=True), ending("2", stops="discontinue")


def test_transposing_instruments_sound_as_they_sound(tmp_path: Path) -> None:
    shift = "<key><fifths>2</fifths></key><transpose><chromatic>{}</chromatic>{}</transpose>"
    octave = "<octave-change>-1</octave-change>"
    for attributes, number, key in ((shift.format(-2, ""), 60, 0), (shift.format(-9, ""), 53, -1),
                                    (shift.format(0, octave), 50, 2), (shift.format(-2, octave), 48, 0)):  # fmt: skip
        found = played(tmp_path, measure(1, "d4 4", attributes=attributes), measure(2, "d4 4"))
        assert [one.number for one in found.parts[0].notes] == [number, number]
        assert found.parts[0].transposition == number - 62
        assert found.keys == ((0.0, key),)
    # a player who takes another instrument
    found = played(tmp_path, measure(1, "d4 4"), measure(2, "d4 4", attributes=shift.format(-2, "")))
    assert [one.number for one in found.parts[0].notes] == [62, 60]
    # two staves, of which one is transposed
    staves = '<staves>2</staves><transpose number="2"><chromatic>-12</chromatic></transpose>'
    low = "<backup><duration>4</duration></backup>" + note("c4 4", "<staff>2</staff>", 2)
    found = played(tmp_path, measure(1, "c4 4", low, attributes=staves))
    assert [(one.number, one.staff) for one in found.parts[0].notes] == [(48, 2), (60, 1)]


def test_voices_chords_rests_and_forward(tmp_path: Path) -> None:
    back = "<backup><duration>4</duration></backup>"
    on = "<forward><duration>2</duration></forward>"
    found = played(
        tmp_path, measure(1, "c4 1", "+e4 1", "r 1", "g4 2", back, on, note("c3 2", voice=2)), measure(2, "d4 4")
    )
    assert rows(found) == [(0, 1, 60), (0, 1, 64), (2, 2, 48), (2, 2, 67), (4, 4, 62)]
    assert [one.voice for one in found.parts[0].notes] == ["1", "1", "2", "1", "1"]


TIE = '<tie type="start"/>', '<tie type="stop"/>'


def test_ties_are_one_note_also_over_a_bar_line_and_in_a_chord(tmp_path: Path) -> None:
    found = played(
        tmp_path,
        measure(1, "r 2", note("c4 2", TIE[0]), note("+e4 2", TIE[0])),
        measure(2, note("c4 4", TIE[1] + TIE[0]), "+e4 4"),
        measure(3, note("c4 1", TIE[1]), note("c4 3")),
        measure(4, note("g4 4", '<notations><tied type="start"/></notations>')),
        measure(5, note("g4 4", '<notations><tied type="stop"/></notations>')),
    )
    assert rows(found) == [(2, 7, 60), (2, 2, 64), (4, 4, 64), (9, 3, 60), (12, 8, 67)]


def test_a_tie_into_a_repeat_that_nothing_is_tied_to_is_a_note(tmp_path: Path) -> None:
    first = measure(1, note("c4 2", TIE[1]), "d4 2", BACKWARD)
    assert rows(played(tmp_path, first)) == [(0, 2, 60), (2, 2, 62), (4, 2, 60), (6, 2, 62)]
    held = measure(1, note("c4 2", TIE[1]), note("c4 2", TIE[0]), BACKWARD)
    assert rows(played(tmp_path, held)) == [(0, 2, 60), (2, 4, 60), (6, 2, 60)]


def test_grace_notes_come_before_theirs_and_cues_do_not_sound(tmp_path: Path) -> None:
    cue = "<note><cue/><pitch><step>A</step><octave>5</octave></pitch><duration>1</duration></note>"
    found = played(tmp_path, measure(1, "b4", "a4", "c4 2", cue, "r 1"))
    assert [(one.start, one.number, one.grace) for one in found.parts[0].notes] == [
        (0, 71, True), (0, 69, True), (0, 60, False),
    ]  # fmt: skip
    assert found.length == 4.0


def test_pickups_and_meters_have_the_printed_bars_and_beats(tmp_path: Path) -> None:
    three = "<time><beats>3</beats><beat-type>4</beat-type></time>"
    six = "<time><beats>6</beats><beat-type>8</beat-type></time>"
    found = played(
        tmp_path,
        measure(0, "c4 1", attributes=three, more='implicit="yes"'),
        measure(1, "d4 3", FORWARD),
        measure(2, "e4 2", BACKWARD),
        measure("X1", "f4 1", more='implicit="yes"'),
        measure(3, "g4 3", attributes=six),
        measure(4, attributes="<time><senza-misura/></time>"),
    )
    assert [(one.name, one.start, one.length, one.before) for one in found.measures] == [
        ("0", 0, 1, 2), ("1", 1, 3, 0), ("2", 4, 2, 0), ("1", 6, 3, 0), ("2", 9, 2, 0), ("X1", 11, 1, 2),
        ("3", 12, 3, 0), ("4", 15, 3, 0),
    ]  # fmt: skip
    assert [found.beat_at(at) for at in (0.0, 1.0, 3.0, 11.0, 12.0, 12.5)] == [3, 1, 3, 3, 1, 2]
    assert [found.measure_at(at) for at in (-1.0, 0.0, 3.999, 4.0, 99.0)] == [0, 0, 1, 2, 7]
    composite = "<time><beats>3+2</beats><beat-type>8</beat-type><beats>1</beats><beat-type>4</beat-type></time>"
    assert played(tmp_path, measure(1, attributes=composite)).measures[0].meter == (7, 8)


def metronome(unit: str, number: str, dot: str = "") -> str:
    mark = f"<metronome><beat-unit>{unit}</beat-unit>{dot}<per-minute>{number}</per-minute></metronome>"
    return f"<direction><direction-type>{mark}</direction-type></direction>"


def test_repeats_are_played_and_tempi_are_of_quarters(tmp_path: Path) -> None:
    def tempo(said: str) -> str:
        ((at, bpm),) = played(tmp_path, measure(1, said, "c4 4")).tempo
        assert at == 0.0
        return f"{bpm:g}"

    accepted.compare_calls(__file__, **{**globals(), "order": partial(order, tmp_path), "tempo": tempo})


def test_a_repeat_has_the_tempo_that_was_there(tmp_path: Path) -> None:
    later = f"<direction><direction-type/><offset>1</offset>{sound(tempo='90')}</direction>"
    found = played(
        tmp_path, measure(1, sound(tempo="60"), "c4 4"), measure(2, "c4 2", later, "c4 2", BACKWARD), measure(3, "c4 4")
    )
    assert found.tempo == ((0.0, 60.0), (7.0, 90.0), (8.0, 60.0), (15.0, 90.0))


def lyric(text: str, kind: str = "single", verse: int = 1, more: str = "") -> str:
    return f'<lyric number="{verse}" {more}><syllabic>{kind}</syllabic><text>{text}</text></lyric>'


def test_a_repeat_sings_its_own_verse(tmp_path: Path) -> None:
    found = played(
        tmp_path,
        measure(
            1,
            note("c4 2", lyric("hel", "begin") + lyric("good", verse=2)),
            note("d4 2", lyric("lo,", "end") + lyric("bye!", verse=2)),
        ),
        measure(2, note("e4 4", lyric("la")), BACKWARD.replace("backward", 'backward" times="3')),
    )
    sung = ["hel-", "lo", "la", "good", "bye", "la", "good", "bye", "la"]
    assert [one.syllable for one in found.parts[0].notes] == sung
    only = note("c4 4", lyric("first", more='time-only="1"') + lyric("second", verse=2, more='time-only="2"'))
    assert [one.syllable for one in played(tmp_path, measure(1, only, BACKWARD)).parts[0].notes] == ["first", "second"]


def test_fermatas_ornaments_words_and_drums(tmp_path: Path) -> None:
    held = "<notations><fermata/></notations>"
    trill = "<ornaments><trill-mark/><accidental-mark>sharp</accidental-mark></ornaments><arpeggiate/>"
    trill = f"<notations>{trill}</notations>"
    rest = f"<note><rest/><duration>1</duration>{held}</note>"
    drum = (
        "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
        '<duration>1</duration><instrument id="{}"/></note>'
    )
    listed = (
        '<score-part id="P1"><part-name>Flute\n in C</part-name><midi-instrument id="I1">'
        "<midi-program>74</midi-program></midi-instrument>"
        '<midi-instrument id="I2"><midi-unpitched>43</midi-unpitched></midi-instrument></score-part>'
    )
    music = part(measure(1, WORDS.format("dolce"), note("c4 2", held), rest, note("d4 1", trill)),
                 measure(2, drum.format("I2"), drum.format("none")))  # fmt: skip
    (tmp_path / "x.xml").write_text(score(music, listed=listed))
    found = read(tmp_path / "x.xml")
    flute = found.parts[0]
    assert (flute.name, flute.program, found.fermatas, found.words) == ("Flute in C", 73, (0.0, 2.0), ((0.0, "dolce"),))
    assert [(one.fermata, one.ornaments) for one in flute.notes[:2]] == [
        (True, ()),
        (False, ("trill-mark", "arpeggiate")),
    ]
    assert [(one.number, one.drum) for one in flute.notes[2:]] == [(42, True), (64, True)]


def test_parts_share_bars_and_the_signs_of_any(tmp_path: Path) -> None:
    """One part has other divisions, another lacks its rests, the last its last measure."""
    high = part(measure(1, "c4 2", "d4 2"), measure(2, "e4 4"))
    low = part(
        measure(1, "c3 3", "d3 9", attributes="<divisions>3</divisions>"), measure(2, "e3 6", BACKWARD), name="P2"
    )
    last = part(measure(1, "c2 4"), name="P3")
    for text in (score(high, low, last),):
        (tmp_path / "x.musicxml").write_text(text)
        found = read(tmp_path / "x.musicxml")
        assert [one.name for one in found.parts] == ["Part 1", "Part 2", "Part 3"]
        assert rows(found, 0) == [(0, 2, 60), (2, 2, 62), (4, 4, 64), (8, 2, 60), (10, 2, 62), (12, 4, 64)]
        assert rows(found, 1) == [(0, 1, 48), (1, 3, 50), (4, 2, 52), (8, 1, 48), (9, 3, 50), (12, 2, 52)]
        assert rows(found, 2) == [(0, 4, 36), (8, 4, 36)]


def test_a_timewise_score_is_the_same(tmp_path: Path) -> None:
    attributes = f"<attributes><divisions>1</divisions>{COMMON}</attributes>"
    body = (
        f'<measure number="1"><part id="P1">{attributes}{note("c4 4")}</part>'
        f'<part id="P2">{attributes}{note("e4 4")}</part></measure>'
        f'<measure number="2"><part id="P1">{note("d4 4")}{BACKWARD}</part>'
        f'<part id="P2">{note("f4 4")}</part></measure>'
    )
    (tmp_path / "x.xml").write_text(f"<score-timewise><part-list/>{body}</score-timewise>")
    found = read(tmp_path / "x.xml")
    assert rows(found, 0) == [(0, 4, 60), (4, 4, 62), (8, 4, 60), (12, 4, 62)]
    assert rows(found, 1) == [(0, 4, 64), (4, 4, 65), (8, 4, 64), (12, 4, 65)]


def test_rounded_durations_keep_the_bar(tmp_path: Path) -> None:
    thirds = measure(1, *(["c4 341"] * 12), attributes="<divisions>1024</divisions>")
    found = played(tmp_path, thirds, measure(2, "d4 4096"))
    assert [one.start for one in found.measures] == [0.0, 4.0]


@pytest.mark.parametrize(("length", "wanted"), [(20, 2.0), (28, 2.0), (22, 2.0), (27, 2.25), (30, 2.5), (33, 2.75)])
def test_a_tuplet_beside_the_time_does_not_move_the_bar_line(tmp_path: Path, length: int, wanted: float) -> None:
    half = "<divisions>12</divisions><time><beats>2</beats><beat-type>4</beat-type></time>"
    found = played(
        tmp_path, measure(0, "c4 20", attributes=half), measure(1, f"d4 {length}"), measure("X", "e4 20", more=IMPLICIT)
    )
    lengths = [one.length for one in found.measures]
    assert lengths == pytest.approx([20 / 12, wanted, 20 / 12]), "a pickup and the rest of a bar stay"
    assert rows(found)[-1][0] == pytest.approx(20 / 12 + wanted)


def test_rests_alone_do_not_lengthen_a_bar(tmp_path: Path) -> None:
    surplus = "<backup><duration>3</duration></backup>" + note("d3 1", voice=2) + note("r 9", voice=2)
    found = played(tmp_path, measure(1, "c4 4", surplus), measure(2, "e4 4"), measure(3, "f4 5"))
    assert [(one.start, one.length) for one in found.measures] == [(0.0, 4.0), (4.0, 4.0), (8.0, 5.0)]


GOOD = score(part(measure(1, note("c4 2", lyric("la")), "d4 2", BACKWARD)))


def packed(*files: tuple[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return buffer.getvalue()


def container(name: str) -> tuple[str, str]:
    return "META-INF/container.xml", f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>'


def test_encodings_and_packed_files(tmp_path: Path) -> None:
    plain = GOOD.partition("?>")[2]
    other = score(part(measure(1, "g4 4")))
    doctype = '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">'
    for content in (
        GOOD.encode(),
        b"\xef\xbb\xbf" + plain.encode(),
        f'<?xml version="1.0" encoding="UTF-16"?>{plain}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{doctype}{plain.replace("Part 1", "Flöte")}'.encode("latin-1"),
        packed(container("music/a.xml"), ("b.xml", other), ("music/a.xml", GOOD)),
        packed(("a.musicxml", GOOD)),
        packed(container("gone.xml"), ("a.xml", GOOD)),
    ):
        (tmp_path / "x.mxl").write_bytes(content)
        assert rows(read(tmp_path / "x.mxl")) == [(0, 2, 60), (2, 2, 62), (4, 2, 60), (6, 2, 62)]


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
LONG = score(
    part(*[measure(n, "c4 4", FORWARD, BACKWARD.replace("backward", 'backward" times="999')) for n in range(99)])
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is damaged"),
        (b"MThd", "it is damaged"),
        (GOOD[:-9].encode(), "it is damaged"),
        (b"<html/>", "its root is html"),
        (b"<score-partwise/>", "no measures in it"),
        ((BOMB + GOOD.partition("?>")[2]).encode(), "defines entities"),
        (f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}<a/>'.encode("utf-16"), "defines entities"),
        (b"PK\3\4" + bytes(50), "packed, and damaged"),
        (packed(("readme.txt", "x")), "no score in it"),
        (packed(("a.xml", bytes(MAX_BYTES + 1))), "larger than 16 MiB"),
        (packed(("a.xml", GOOD))[:-60], "packed, and damaged"),
        (LONG.encode(), f"more than {MAX_PLAYED} measures"),
        (score(part(measure(1, "c4 999999999"))).encode(), "longer than"),
    ],
)  # fmt: skip
def test_what_is_no_score_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.mxl").write_bytes(content)
    with pytest.raises(FileError, match=said) as caught:
        read(tmp_path / "x.mxl")
    assert str(caught.value).startswith("x.mxl is no MusicXML that can be read: ")


def test_odd_values_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(5)
    first = measure(1, FORWARD, sound(tempo="60"), note("c4 2", TIE[0]), note("+e4 2"), "d4")
    second = measure(2, note("c4 2", TIE[1]), *ending("1, 2", back=True))
    last = measure(3, WORDS.format("D.S. al Coda"), "c4 4", SIGN.format("coda"))
    whole = score(part(first, second, last))
    odd = ["-1", "0", "1e9", "999999999", "", "x", "-0.5", "٣", "\u2009"]
    for _ in range(300):
        text = whole
        for _ in range(rng.randint(1, 4)):
            at = rng.choice([n for n, c in enumerate(text) if c.isdigit()] or [0])
            text = text[:at] + rng.choice(odd) + text[at + 1 :]
        (tmp_path / "x.xml").write_text(text)
        try:
            found = read(tmp_path / "x.xml")
        except FileError:
            continue
        for one in (one for part in found.parts for one in part.notes):
            assert 0 <= one.number <= 127
            assert one.length >= 0
            assert one.start >= 0
