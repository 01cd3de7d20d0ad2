"""Files: the melody kept, no empty bar, every note ended, tempo and meter kept; bad files refused in a sentence."""

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import mido
import numpy as np
import pytest

from antiphon.api import AntiphonError, UsageError
from antiphon.api.backends.files import chord_text
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.band.styles import PARTS, parts_of
from antiphon_accompany.files.midifiles import accompany_midi, bars, read, sections
from antiphon_accompany.files.offline import Section, accompany_file
from antiphon_accompany.harmony.chords import KEYS, parse, read_chord
from antiphon_accompany.harmony.chordtext import ChordSpan, musicxml, spans_of, timed_labels
from antiphon_accompany.tests.playing import TUNE, accompaniment, tune
from antiphon_models.accompany.evaluation import chords_of, texture
from antiphon_models.learning.user_commands import command


def write(path: Path, notes: list[BeatNote], upper: int = 4, lower: int = 4, late: int = 0, kind: int = 1) -> Path:
    """A MIDI file of a melody, at 96 beats a minute that become 80. late: ticks all notes are moved by."""
    told = [(round(n.start * 480) + late, 1, n.pitch) for n in notes]
    told += [(round(n.end * 480) + late, 0, n.pitch) for n in notes]
    made, at = mido.MidiFile(type=kind, ticks_per_beat=480), 0
    first = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=625000)])
    first.append(mido.MetaMessage("time_signature", numerator=upper, denominator=lower))
    first.append(mido.MetaMessage("set_tempo", tempo=750000, time=3840))
    track = first if kind == 0 else mido.MidiTrack([mido.MetaMessage("track_name", name="Flute")])
    if kind == 0:
        del first[2]
    for when, on, pitch in sorted(told):
        track.append(mido.Message("note_on", note=pitch, velocity=90 * on, time=when - at, channel=2))
        at = when
    made.tracks.extend([first] if kind == 0 else [first, track])
    made.save(path)
    return path


@pytest.mark.parametrize("kind", [0, 1])
def test_all_that_was_in_the_file_stays(tmp_path: Path, kind: int) -> None:
    source, target = write(tmp_path / "in.mid", TUNE, kind=kind), tmp_path / "out.mid"
    accompany_midi(source, target, {"style": "ballad"})
    before, after = mido.MidiFile(source), mido.MidiFile(target)
    assert [list(t) for t in after.tracks[: len(before.tracks)]] == [list(t) for t in before.tracks]
    assert len(after.tracks) == len(before.tracks) + 1
    assert after.tracks[-1].name == "piano"
    assert after.ticks_per_beat == before.ticks_per_beat
    assert {m.channel for m in after.tracks[-1] if m.type == "note_on"}.isdisjoint({2, 9})


def test_a_score_is_read_with_its_pickup_repeat_and_transposition(tmp_path: Path) -> None:
    def measure(steps: str, around: str = "{}") -> str:
        notes = (
            f"<note><pitch><step>{step}</step><octave>5</octave></pitch><duration>1</duration></note>" for step in steps
        )
        return f"<measure>{around.format(''.join(notes))}</measure>"

    written = "<attributes><divisions>1</divisions><time><beats>3</beats><beat-type>4</beat-type></time><transpose>"
    written += '<chromatic>-2</chromatic></transpose></attributes><direction><sound tempo="150"/></direction>{}'
    again = '{}<barline location="right"><repeat direction="backward"/></barline>'
    bars = measure("A", written) + measure("DEF") + measure("EFG") + measure("DF", again)
    parts = '<part-list><score-part id="P1"><part-name>Clarinet</part-name></score-part></part-list>'
    source, target = tmp_path / "waltz.musicxml", tmp_path / "out.mid"
    source.write_text(f'<score-partwise>{parts}<part id="P1">{bars}</part></score-partwise>')
    command("run", "accompany", source, target)
    given = read(target)
    assert [note.pitch for note in given.melody] == [79, 72, 74, 75, 74, 75, 77, 72, 75] * 2
    assert [note.start for note in given.melody] == list(range(18))
    assert given.signatures == [(0.0, 1, 4), (1.0, 3, 4), (16.0, 2, 4)]  # what a repeat divides is one bar
    assert given.tempo == pytest.approx(150.0)
    assert mido.MidiFile(target).tracks[-1].name == "piano"
    source.write_text("<html/>")
    with pytest.raises(AntiphonError, match=r"waltz\.musicxml is no MusicXML that can be read"):
        command("run", "accompany", source, tmp_path / "none.mid")


def test_the_report_has_the_chord_of_each_beat(tmp_path: Path) -> None:
    source, target = write(tmp_path / "in.mid", TUNE), tmp_path / "out.mid"
    command("run", "accompany", source, target, "--report", tmp_path / "chords.json")
    said = json.loads((tmp_path / "chords.json").read_text())
    chords = [parse(label) for _, label in said["chords"]]
    assert [beat for beat, _ in said["chords"]] == list(range(len(chords)))
    # a beat of root and fifth does not tell major from minor
    played = chords_of(accompaniment(target), len(chords))
    assert sum(a == b for a, b in zip(played, chords, strict=True)) >= 0.9 * len(chords)
    assert said["key"] in KEYS


@pytest.mark.parametrize(("upper", "lower"), [(4, 4), (3, 4), (6, 8), (5, 4), (2, 2), (12, 8), (11, 8)])
def test_no_bar_is_empty_and_every_note_ends_in_the_last(tmp_path: Path, upper: int, lower: int) -> None:
    # a melody that begins with the fourth bar and rests for two
    notes = [BeatNote(n.start + 12 + 8 * (n.start > 15), n.end + 12 + 8 * (n.start > 15), n.pitch, 0.6) for n in TUNE]
    source, target = write(tmp_path / "in.mid", notes, upper, lower), tmp_path / "out.mid"
    accompany_midi(source, target)
    length = upper * 4.0 / lower
    made = accompaniment(target)
    last = -(-max(n.end for n in notes) // length)
    assert {int(n.start / length + 1e-6) for n in made} == set(range(int(last)))
    assert max(n.end for n in made) <= last * length + 1e-6


def test_a_loop_of_one_melody_gets_bars_of_many_rhythms() -> None:
    long = [BeatNote(n.start + 32 * k, n.end + 32 * k, n.pitch, n.velocity) for k in range(4) for n in TUNE]
    found = texture(accompany_file(long, {}, 90.0), 0, 4)
    assert 2.0 < found.density < 5.0
    assert 2.0 < found.polyphony < 4.5
    assert 50 < found.height < 63
    assert found.variety > 2.5


def test_lookahead_hears_no_further_than_it_says() -> None:
    other = [*TUNE[:12], *tune("G1 A1 B1 A1 G4 F4", 14)]
    moved = [BeatNote(n.start + 16 * (k >= 12), n.end + 16 * (k >= 12), n.pitch) for k, n in enumerate(other)]
    for bars_ahead in (0, 1, 2):
        one, two = (
            [n for n in accompany_file(notes, {"lookahead": bars_ahead}, ends=32) if n.end <= 14 - 4 * bars_ahead]
            for notes in (TUNE, [*TUNE[:12], *[BeatNote(n.start, n.end, n.pitch) for n in moved[12:]]])
        )
        assert one == two


def test_a_performance_beside_a_clock_is_said_to_be_one(tmp_path: Path) -> None:
    song = [BeatNote(n.start + 32 * k, n.end + 32 * k, n.pitch, n.velocity) for k in range(2) for n in TUNE]
    faster = [BeatNote(n.start * 0.967, n.end * 0.967, n.pitch, n.velocity) for n in song]
    beside = [BeatNote(n * 0.5 + 0.1, n * 0.5 + 0.3, 60 + n % 5) for n in range(64)]  # steady, by any quarter
    for notes, said in ((song, False), (beside, False), (faster, True)):
        told = accompany_midi(write(tmp_path / "in.mid", notes), tmp_path / "out.mid", {}).fitted
        assert ("keep no steady beat" in told) == said, told
    assert "`antiphon render duo --events` follows it" in told, "bandstand has its chords of the left hand"
    heard = accompany_midi(tmp_path / "in.mid", tmp_path / "out.mid", {}, "", (), True).fitted
    assert "`antiphon render answer --in` follows it" in heard


def test_a_melody_beside_the_grid_is_found(tmp_path: Path) -> None:
    song = [BeatNote(n.start + 32 * k, n.end + 32 * k, n.pitch, n.velocity) for k in range(2) for n in TUNE]
    for late in (40, 131, 304):
        source = write(tmp_path / "in.mid", song, 1, 4, late)
        assert sections(read(source))[0].start % 1.0 == pytest.approx(late / 480, abs=0.02)
        made = accompany_midi(source, tmp_path / "out.mid", {"humanise": 0.0}).notes
        assert all(abs((n.start - late / 480) * 4 - round((n.start - late / 480) * 4)) < 0.1 for n in made)


def test_sections_change_the_meter() -> None:
    made = accompany_file(TUNE, {"style": "waltz", "humanise": 0.0}, sections=[Section(0.0, 4), Section(16.0, 3)])
    lowest = {n.start for n in made if n.pitch <= 50}
    assert {16.0, 19.0, 22.0, 25.0} <= lowest


def test_six_eighths_are_two_beats_of_three_parts(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mid", tune("E.5 D.5 C.5 D.5 E.5 G.5 " * 16), 6, 8)
    made = accompany_midi(
        source, tmp_path / "out.mid", {"style": "bossa", "parts": "piano,bass,drums", "humanise": 0.0}
    )
    assert made.bars == 16
    starts = np.array([n.start for n in made.notes])
    # eighths, and the sixteenth before the next beat
    assert (np.abs(starts * 4 - np.round(starts * 4)) < 0.02).all()
    assert np.mean(np.abs(starts * 2 - np.round(starts * 2)) < 0.01) > 0.75
    kit = np.array([n.start for n in made.notes if n.part == "drums"])
    assert len(kit) / 48 < 6, "no faster than in 4/4, at this tempo"


@pytest.mark.parametrize(
    ("short", "upper", "lower", "begins"),
    [((1, 4), 4, 4, 1.0), ((3, 4), 4, 4, 3.0), ((2, 4), 3, 4, 2.0), ((1, 8), 6, 8, 0.5)],
)
def test_a_short_first_bar_is_an_upbeat(
    tmp_path: Path, short: tuple[int, int], upper: int, lower: int, begins: float
) -> None:
    """Bars begin with the second time signature, and so do chords that are given."""
    bar, ticks = upper * 4.0 / lower, 480
    source, target = tmp_path / "in.mid", tmp_path / "out.mid"
    signs = [mido.MetaMessage("time_signature", numerator=short[0], denominator=short[1])]
    signs.append(mido.MetaMessage("time_signature", numerator=upper, denominator=lower, time=round(begins * ticks)))
    line = mido.MidiTrack()
    for note in range(-1, 8):
        length = round((begins if note < 0 else bar) * ticks)
        line.append(mido.Message("note_on", note=67 if note < 0 else 72, velocity=80))
        line.append(mido.Message("note_off", note=67 if note < 0 else 72, time=length))
    mido.MidiFile(ticks_per_beat=ticks, tracks=[mido.MidiTrack(signs), line]).save(source)
    settings = {"style": "block", "parts": "bass", "humanise": 0.0}
    made = accompany_midi(source, target, settings, "| C | F | G | C |")
    first = [n for n in made.notes if abs((n.start - begins) % bar) < 1e-3]
    assert made.notes[0].start == pytest.approx(begins, abs=1e-3)
    assert [n.pitch % 12 for n in first] == [0, 5, 7, 0, 0, 5, 7, 0]
    assert [round(s.start, 3) for s in made.spans if s.chord][:3] == [begins + n * bar for n in range(3)]
    measures = ElementTree.fromstring(made.lead(".musicxml")).findall(".//measure")
    assert [m.findtext(".//beats") for m in measures[:2]] == [str(short[0]), str(upper)]


def test_a_form_begins_after_an_upbeat() -> None:
    """The fill is in the eighth whole bar, whether the melody has an upbeat or not."""
    late = [BeatNote(n.start + 1.0, n.end + 1.0, n.pitch, 0.7) for n in tune("G1 " + "C1 D1 E1 C1 " * 11)]
    made = [
        accompany_file(
            [n._replace(start=n.start + by, end=n.end + by) for n in late], {"style": "rock", "parts": "drums"}
        )
        for by in (2.0, 3.0)
    ]
    toms = [min(n.start for n in notes if n.pitch in (45, 47, 50)) // 4 for notes in made]
    assert toms == [8.0, 7.0]


def test_bars_of_signatures() -> None:
    assert bars(4, 4) == (4, 1.0)
    assert bars(3, 4) == (3, 1.0)
    assert (bars(6, 8), bars(12, 8), bars(3, 8)) == ((2, 1.5), (4, 1.5), (3, 0.5))
    assert bars(7, 8) == (7, 0.5)
    assert bars(2, 2) == (4, 1.0)
    for upper in range(1, 33):
        for lower in (1, 2, 4, 8, 16):
            beats, unit = bars(upper, lower)
            assert 2 <= beats <= 7
            assert upper * 4 / lower / (beats * unit) == pytest.approx(round(upper * 4 / lower / (beats * unit)))


def test_a_band_on_given_chords_by_the_command(tmp_path: Path) -> None:
    source, target, chords = write(tmp_path / "in.mid", TUNE), tmp_path / "out.mid", tmp_path / "chords.txt"
    command(
        *("run", "accompany", source, target, "-p", "style=bossa", "-p", "parts=piano,bass,drums"),
        *("--chords", "| C Am | F G7 |", "--chords-out", chords),
    )
    tracks = {track.name: track for track in mido.MidiFile(target).tracks}
    assert {"Flute", "piano", "bass", "drums"} <= set(tracks)
    channels = {name: {m.channel for m in track if not m.is_meta} for name, track in tracks.items()}
    assert channels["drums"] == {9}
    assert not channels["piano"] & channels["bass"]
    lines = [line.split() for line in chords.read_text().splitlines()]
    assert [label for _, _, label in lines[:5]] == ["C:maj", "A:min", "F:maj", "G:7", "C:maj"]
    # 96 bpm for two bars, then 80
    assert [float(start) for start, _, _ in lines[3:5]] == pytest.approx([3.75, 5.0], abs=1e-4)
    again = tmp_path / "again.mid"
    command(
        *("run", "accompany", source, again, "--chords", chords, "--chords-out", tmp_path / "lead.musicxml"),
        *("--roll", tmp_path / "roll.svg"),
    )
    drawn = ElementTree.parse(tmp_path / "roll.svg").getroot()
    by_class = Counter(item.get("class") for item in drawn.iter())
    assert by_class["melody"] == len(TUNE)
    assert by_class["piano"] == sum(m.type == "note_on" for t in mido.MidiFile(again).tracks[2:] for m in t)
    assert [item.text for item in drawn.iter() if item.get("class") == "chord"][:4] == ["C", "Am", "F", "G7"]
    score = ElementTree.parse(tmp_path / "lead.musicxml")
    assert len(score.findall(".//measure")) == 8
    assert [h.find("kind").text for h in score.findall(".//harmony")[:4]] == ["major", "minor", "major", "dominant"]
    with pytest.raises(AntiphonError, match="'J7' is no chord"):
        command("run", "accompany", source, tmp_path / "x.mid", "--chords", "| C J7 |")


def test_a_style_of_other_bars_than_the_melody_is_said_by_the_command(tmp_path: Path) -> None:
    for style, upper, said in (("waltz", 4, True), ("waltz", 3, False), ("pop", 3, True), ("auto", 3, False)):
        source = write(tmp_path / "in.mid", TUNE, upper)
        told = command("run", "accompany", source, tmp_path / "out.mid", "-p", f"style={style}", "--force")
        assert ("beats in a bar, fitted to" in told) == said, (style, upper, told)
    assert "waltz has 3 beats in a bar, fitted to 4" in command(
        "run", "accompany", write(tmp_path / "in.mid", TUNE), tmp_path / "out.mid", "-p", "style=waltz", "--force"
    )


def test_the_melody_is_found_among_tracks(tmp_path: Path) -> None:
    low = [BeatNote(n.start, n.end, n.pitch - 36) for n in TUNE]
    path = tmp_path / "two.mid"
    one, two = mido.MidiFile(write(tmp_path / "low.mid", low)), mido.MidiFile(write(tmp_path / "high.mid", TUNE))
    one.tracks[1].name = ""
    one.tracks.append(two.tracks[1])
    one.tracks[2].name = ""
    one.save(path)
    assert read(path).track == 2
    one.tracks[1].name = "Vocals"
    one.save(path)
    assert read(path).track == 1


def test_parts_are_named_in_any_case_and_all_is_all() -> None:
    assert parts_of("Piano, BASS") == ("piano", "bass")
    assert parts_of("all,piano") == parts_of("all") == PARTS


def test_a_chart_of_several_lines_has_a_bar_for_each() -> None:
    for chart in (
        "| C Am | F |\n| Dm | G7 |\n",
        "C Am | F | Dm | G7",
        "| C Am | F || Dm | G7 ||",
        "| C\n  Am | F | Dm | G7 |",
    ):
        found = [(s.start, s.chord and s.chord.label) for s in spans_of(chart, 4.0)]
        assert found == [(0.0, "C:maj"), (2.0, "A:min"), (4.0, "F:maj"), (8.0, "D:min"), (12.0, "G:7")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("C Am F G7", "4 chords a bar, since no | divides them"), ("C", ""), ("| C Am |", ""), ("C | Am", ""), ("", "")],
)
def test_chords_that_no_line_divides_are_said_to_be_one_bar(tmp_path: Path, text: str, words: str) -> None:
    assert accompany_midi(write(tmp_path / "in.mid", TUNE), tmp_path / "out.mid", {}, text).fitted == words


def test_lines_of_chords_before_the_beginning_are_left_out() -> None:
    """A pickup has chords before bar one: the lines are read again, as `--chords` takes them."""
    given = [ChordSpan(at, at + 1.0, read_chord(name)) for at, name in ((-1.5, "C"), (-0.5, "G"), (0.5, "Am"))]
    text = chord_text(".lab", timed_labels(given, lambda beat: beat / 2.0), 4.0, "x", "y")
    assert text == "0.000000 0.250000 G:maj\n0.250000 0.750000 A:min\n"
    again = spans_of(text, 4.0, lambda second: second * 2.0)
    assert [(s.start, s.end) for s in again] == [(0.0, 0.5), (0.5, 1.5)]


def test_a_bar_without_a_chord_is_one_in_the_score() -> None:
    score = ElementTree.fromstring(musicxml(spans_of("| C | N | F |", 4.0), [(0.0, 4, 4)], 12.0).split("\n", 2)[2])
    kinds = [[(k.text, k.get("text")) for k in m.iter("kind")] for m in score.iter("measure")]
    assert kinds == [[("major", "")], [("none", "N.C.")], [("major", "")]]


def test_calls_fire_at_their_second(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.mid", [BeatNote(n.start + 32 * k, n.end + 32 * k, n.pitch) for k in range(2) for n in TUNE]
    )

    def starts(*given: str) -> dict[str, list[float]]:
        target = tmp_path / "out.mid"
        command("run", "accompany", source, target, "-p", "parts=piano,drums", *given, "--force")
        made = mido.MidiFile(target)
        return {
            track.name: [
                at / 480 for at, m in zip(np.cumsum([m.time for m in track]), track, strict=True) if m.type == "note_on"
            ]
            for track in made.tracks[2:]
        }

    def in_bar(made: dict[str, list[float]], bar: int) -> dict[str, list[float]]:
        return {part: [at % 4 for at in found if int(at // 4) == bar] for part, found in made.items()}

    plain = starts()
    # 96 bpm for eight beats, then 80: second 12 is beat 17.33, in bar 4
    filled, broken, ended = (starts("-p", f"{name}=12") for name in ("fill", "break", "ending"))
    assert in_bar(filled, 4)["drums"] != in_bar(plain, 4)["drums"]
    assert in_bar(filled, 3) == in_bar(plain, 3)
    assert all(max(found) < 0.1 for found in in_bar(broken, 5).values()), "one strike, and a rest"
    assert max(map(len, in_bar(plain, 5).values())) > 4
    assert sum(map(len, in_bar(ended, 6).values())) < sum(map(len, in_bar(plain, 6).values()))
    with pytest.raises(UsageError, match=r"ending would fire at 600 s, after the end of in\.mid \(46"):
        starts("-p", "ending=600")


def other_tracks(channels: int, volumes: bool) -> mido.MidiFile:
    """A tune on the first channel, a held note on each other, with or without volumes."""
    made = mido.MidiFile()
    for channel in range(channels):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name="melody" if channel == 0 else f"{channel}")])
        if volumes and channel:
            track.append(mido.Message("control_change", control=7, value=64, channel=channel))
        for note in (60, 62, 64, 65, 67, 65, 64, 60) if channel == 0 else (48,):
            track.append(mido.Message("note_on", note=note, velocity=80, channel=channel))
            track.append(mido.Message("note_off", note=note, channel=channel, time=480 if channel == 0 else 3840))
        made.tracks.append(track)
    return made


@pytest.mark.parametrize(("channels", "volumes"), [(1, False), (3, False), (3, True), (16, False)])
def test_the_band_is_beneath_a_file_whose_own_mix_stays(tmp_path: Path, channels: int, volumes: bool) -> None:
    other_tracks(channels, volumes).save(tmp_path / "in.mid")
    settings = {"parts": "piano,drums", "style": "pop", "follow": "melody"}
    accompany_midi(tmp_path / "in.mid", tmp_path / "out.mid", settings)
    tracks = mido.MidiFile(tmp_path / "out.mid").tracks
    levels = {m.channel: m.value for t in tracks for m in t if m.is_cc(7)}
    band = {t.name: t for t in tracks if t.name in ("piano", "drums")}
    its = {m.channel for t in band.values() for m in t if m.type == "note_on"}
    assert {c: levels.get(c) for c in range(channels)} == {
        c: (64 if c else None) if volumes else 127 for c in range(channels)
    }
    loudest = max(m.velocity for m in band["piano"] if m.type == "note_on")
    if channels == 16:
        plain = tmp_path / "plain.mid"
        other_tracks(1, volumes=False).save(tmp_path / "one.mid")
        accompany_midi(tmp_path / "one.mid", plain, settings)
        (track,) = (t for t in mido.MidiFile(plain).tracks if t.name == "piano")
        value = next(m.value for m in track if m.is_cc(7) and m.channel != 0)
        assert loudest == pytest.approx(max(m.velocity for m in track if m.type == "note_on") * value / 127, abs=1)
    else:
        assert all(levels[channel] < 127 for channel in its)
