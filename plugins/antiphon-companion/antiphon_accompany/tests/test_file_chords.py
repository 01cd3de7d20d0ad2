"""A file that has harmony is accompanied by its own chords."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon.api.jobs import FileJob
from antiphon_accompany.files.jobs import run

TUNE = (76, 76, 73, 71, 76, 73, 78, 75)
CHORDS = ((56, 59, 64), (57, 61, 64), (54, 57, 61), (59, 63, 66)) * 2
SONG = [
    MidiTrack("melody", tuple(MidiNote(2.0 * n, 2.0, key, 0.7) for n, key in enumerate(TUNE)), 0),
    MidiTrack("piano", tuple(MidiNote(2.0 * n, 2.0, key, 0.6) for n, keys in enumerate(CHORDS) for key in keys), 1),
]


def sounding(notes: list[MidiNote], until: float) -> np.ndarray:
    table = np.zeros((round(16 * until), 12), bool)
    for note in notes:
        table[round(16 * note.start) : round(16 * note.end), note.number % 12] = True
    return table


def clash(notes: list[MidiNote], until: float) -> float:
    table = sounding(notes, until)
    return float((table & np.roll(table, 1, axis=1)).any(axis=1).mean())


@pytest.mark.parametrize("settings", [{}, {"chords": "file"}, {"parts": "piano,bass,drums,pad"}])
def test_the_chords_are_those_of_the_file_whatever_its_tracks(tmp_path: Path, settings: dict[str, str]) -> None:
    whole = [MidiTrack("", tuple(sorted((n for t in SONG for n in t.notes), key=lambda n: n.start)), 0)]
    own, bands = list(whole[0].notes), []
    for tracks in (SONG, whole):
        write_midi(tmp_path / "a.mid", tracks, 120.0)
        chords = tmp_path / "a.lab"
        job = FileJob("accompany", tmp_path / "a.mid", tmp_path / "b.mid", settings, beside={"chords-out": chords})
        written = run(job)[0]
        assert "by the chords of the file" in written.found
        names = [line.split()[2] for line in chords.read_text().splitlines()]
        assert names == ["E:maj", "A:maj", "Gb:min", "B:maj"] * 2
        read = read_midi(tmp_path / "b.mid").tracks
        made = [n for track in read if track.name != "drums" for n in track.notes]
        assert len(made) > len(own)
        assert clash(made, 16.0) <= clash(own, 16.0) + 0.01
        bands.append([track.notes for track in read[-len(settings.get("parts", "piano").split(",")) :]])
    assert bands[0] == bands[1]


def test_with_follow_the_melody_is_asked(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid", SONG, 120.0)
    written = run(FileJob("accompany", tmp_path / "a.mid", tmp_path / "b.mid", {"follow": "melody"}))[0]
    assert "by the chords of the file" not in written.found
