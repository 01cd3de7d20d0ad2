"""A MIDI file as a live script: the onsets of the file, its bars once, its tempo map and its meters."""

from fractions import Fraction
from pathlib import Path

import pytest

from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiSong, MidiTrack
from antiphon.files.scores.midifile import read, write
from antiphon.kernel.errors import UsageError
from antiphon.live import reading
from antiphon.live.performance import Performance
from antiphon.operations.render import write as write_played
from antiphon.paste.song import translate_song

RIFF = ((0.0, 60), (1.0, 64), (2.0, 67), (2.0, 72), (3.5, 62))


def onsets(song: MidiSong, drums: frozenset[int]) -> set[tuple[int, int]]:
    """(note, milliseconds) of each note."""
    return {
        (note.number, round(1000 * song.seconds(note.start)))
        for track in song.tracks
        for note in track.notes
        if note.channel not in drums
    }


def played(song: MidiSong, beats: float, folder: Path) -> MidiSong:
    """The notes of a song's script as a MIDI file."""
    script = reading.read("set.py", translate_song(song).text)
    whole = Fraction(beats)
    write_played(folder / "out.mid", list(Performance(script).until(whole)), whole, 120.0)
    return read(folder / "out.mid")


def near(found: set[tuple[int, int]], wanted: set[tuple[int, int]]) -> bool:
    return all(any(n == m and abs(at - other) <= 5 for m, other in wanted) for n, at in found)


@pytest.mark.parametrize("jitter", [0.0, 0.004])
def test_onsets_are_those_of_the_file(tmp_path: Path, jitter: float) -> None:
    notes = [MidiNote(4 * bar + at + jitter * (bar % 3), 0.5, n, 0.7) for bar in range(6) for at, n in RIFF]
    drums = [MidiNote(beat / 2, 0.1, 36 if beat % 4 == 0 else 42, 0.8, 10) for beat in range(48)]
    song = MidiSong(
        (MidiTrack("Lead", tuple(notes)), MidiTrack("Drums", tuple(drums))), ((0.0, 100.0), (8.0, 140.0), (18.0, 75.0))
    )
    write(tmp_path / "in.mid", song.tracks, song.tempo, 960)
    song = read(tmp_path / "in.mid")
    made = played(song, 24, tmp_path)
    wanted, found = onsets(song, song.drums), onsets(made, frozenset({10}))
    assert near(found, wanted)
    assert near(wanted, found)
    hits = sorted(note.start for track in made.tracks for note in track.notes if note.channel == 10)
    assert hits == pytest.approx([beat / 2 for beat in range(48)])


def test_bars_that_repeat_are_one(tmp_path: Path) -> None:
    notes = [MidiNote(4 * bar + at, 0.5, n, 0.7) for bar in (0, 1, 2, 3, 5) for at, n in RIFF]
    notes.append(MidiNote(25.0, 1.0, 40))
    text = translate_song(MidiSong((MidiTrack("Lead", tuple(notes)),))).text
    assert text.count("note(") == 2
    assert 'track("lead", cat(*[lead_1] * 4, silence, lead_1, lead_2))' in text
    drums = tuple(MidiNote(beat, 0.1, 36 if beat % 2 == 0 else 38, 0.8, 10) for beat in range(8))
    assert 's("bd sd bd sd", velocity=102)' in translate_song(MidiSong((MidiTrack("", drums),))).text


def test_meters_that_change_are_kept(tmp_path: Path) -> None:
    notes = tuple(MidiNote(at, 0.5, 60 + round(at)) for at in (0.0, 3.0, 6.0, 9.5, 10.0))
    song = MidiSong((MidiTrack("", notes),), signatures=((0.0, 3, 4), (6.0, 7, 8)))
    text = translate_song(song).text
    assert "# 2 lengths of bars: 2 of 3, 2 of 3.5 beats" in text
    assert "timecat((3, part1_1), (3, part1_2), (3.5, part1_3), (3.5, part1_4)), beats=13" in text
    assert onsets(played(song, 13, tmp_path), frozenset()) == onsets(song, frozenset())
    waltz = translate_song(MidiSong((MidiTrack("", notes),), signatures=((0.0, 3, 4),))).text
    assert "meter(3)" in waltz


def test_a_tempo_that_no_script_has_is_the_nearest_and_said() -> None:
    made = translate_song(
        MidiSong((MidiTrack("", (MidiNote(0.0, 4.0, 60),)),), ((0.0, 6.0), (1.0, 120.0), (2.0, 1500.0)))
    )
    assert "# 2 tempi below 10 or above 999 bpm: a script takes the nearest" in made.text
    assert list(reading.read("set.py", made.text).tracks) == ["part1"]
    assert "(10, 1), (120, 1), (999, 2)" in made.text


def test_what_cannot_be_said_stands_as_a_comment() -> None:
    bends = tuple(MidiControlChange(at / 4, "bend", 0, 0.2) for at in range(5))
    made = translate_song(MidiSong((MidiTrack("Lead", (MidiNote(0.0, 1.0, 60),), 24, bends),)))
    assert "# 5 pitch bends of Lead: patterns of bars have none" in made.text
    assert (made.tracks, made.left_out) == (1, 1)
    assert '.s("gm_acoustic_guitar_nylon")' in made.text


@pytest.mark.parametrize("name", ["", "bass", "Track", "note", "class", "1st piano", 'a"b\\n', "日本", "cat", "tempo"])
def test_any_name_of_a_track_gives_a_script_that_is_read(name: str) -> None:
    notes = (MidiNote(0.0, 1.0, 60), MidiNote(0.0, 2.0, 64, 0.5), MidiNote(4.0, 1.0, 0), MidiNote(8.0, 1.0, 127))
    song = MidiSong((MidiTrack(name, notes), MidiTrack(name, notes)))
    script = reading.read("set.py", translate_song(song).text)
    assert len(script.tracks) == 2
    assert len([event for event in Performance(script).until(Fraction(12)) if event.address == "/note/on"]) in (0, 8)


def test_a_file_without_notes_or_with_too_many_is_refused() -> None:
    with pytest.raises(UsageError, match="there are no notes"):
        translate_song(MidiSong((MidiTrack(),)))
    with pytest.raises(UsageError, match="more than 4000 bars"):
        translate_song(MidiSong((MidiTrack("", (MidiNote(1e6, 1.0, 60),)),)))
