"""Songs come in labelled parts with key and chords, whatever they were read from."""

import json
import struct
from pathlib import Path

from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_models.material.part_songs import PartChord, PartNote, songs


def band(path: Path) -> None:
    """Eight bars of C, F and G: a lead, chords, bass and drums, a channel each."""
    notes: dict[int, list[MidiNote]] = {1: [], 2: [], 3: [], 10: []}
    for bar in range(8):
        root = (0, 5, 7, 0)[bar % 4]
        for beat in range(4):
            at = 4.0 * bar + beat
            notes[1].append(MidiNote(at, 0.9, 72 + root, 0.8, 1))
            notes[10].append(MidiNote(at, 0.2, 36, 0.8, 10))
        notes[2] += [MidiNote(4.0 * bar, 4.0, 60 + (root + step) % 12, 0.6, 2) for step in (0, 4, 7)]
        notes[3].append(MidiNote(4.0 * bar, 4.0, 36 + root, 0.8, 3))
    programs = {1: 80, 2: 0, 3: 33, 10: 0}
    write_midi(path, [MidiTrack(f"{n}", tuple(notes[n]), programs[n]) for n in notes])


def test_a_bands_channels_become_parts_with_key_and_chords(tmp_path: Path) -> None:
    band(tmp_path / "band.mid")
    lump = (tmp_path / "band.mid").read_bytes()
    (tmp_path / "freedoom").mkdir()
    # the same song under two names is one
    entries = b"".join(struct.pack("<ii8s", 12, len(lump), name) for name in (b"D_E1M1", b"D_INTRO"))
    (tmp_path / "freedoom/one.wad").write_bytes(struct.pack("<4sii", b"PWAD", 2, 12 + len(lump)) + lump + entries)
    found = [song for split in ("train", "valid", "test") for song in songs(tmp_path, split)]
    (song,) = found
    assert {part: len(notes) for part, notes in song.parts.items()} == {
        "melody": 32,
        "chords": 24,
        "bass": 8,
        "drums": 32,
    }
    assert (song.programs["bass"], song.programs["melody"]) == (33, 80)
    assert song.key == 0
    assert song.chords[:2] == [PartChord(0, 4, "C:maj"), PartChord(4, 8, "F:maj")]
    assert not song.annotated


def test_a_chorales_voices_are_held_notes(tmp_path: Path) -> None:
    (tmp_path / "jsb").mkdir()
    steps = [[72, 67, 64, 48]] * 4 + [[74, 67, 65, 43]] * 2 + [[71, 67, 62, 43]] * 2
    (tmp_path / "jsb/jsb-chorales-16th.json").write_text(json.dumps({"train": [steps], "valid": [], "test": []}))
    (song,) = songs(tmp_path, "train", ("jsb",))
    assert song.parts["melody"] == [PartNote(0, 1, 72), PartNote(1, 1.5, 74), PartNote(1.5, 2, 71)]
    assert song.parts["bass"] == [PartNote(0, 1, 48), PartNote(1, 2, 43)]
