"""Songs have the tempo, swing, drums and key that their attributes state, in their MIDI file and in their sound."""

import os
import subprocess
import sys

import numpy as np
import pytest

from antiphon_models.material.composer.genres import BY_NAME, GENRES, GenreRules
from antiphon_models.material.composer.song import SCALES, ComposedSong, compose, parse, swing_position, voice_chord


def starts(song: ComposedSong, part: str, pitches: tuple[int, ...] = ()) -> np.ndarray:
    return np.array([n.start for n in song.notes if n.part == part and (not pitches or n.pitch in pitches)])


def test_the_same_seed_is_the_same_song() -> None:
    one, again, other = compose(BY_NAME["jazz"], 5), compose(BY_NAME["jazz"], 5), compose(BY_NAME["jazz"], 6)
    assert one.midi() == again.midi() != other.midi()
    assert one.attributes == again.attributes


def test_another_process_composes_the_same_song() -> None:
    code = (
        "from antiphon_models.material.composer.genres import BY_NAME\n"
        "from antiphon_models.material.composer.song import compose\n"
        "print(compose(BY_NAME['hip hop'], 3, 8.0))"
    )
    songs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(songs) == 1


@pytest.mark.parametrize("rules", GENRES, ids=lambda rules: rules.name)
def test_a_song_keeps_to_its_rules(rules: GenreRules) -> None:
    for seed in range(3):
        song = compose(rules, seed, 12.0)
        said = song.attributes
        assert rules.tempo[0] <= said.tempo <= rules.tempo[1]
        assert said.mode in ("major", "minor")
        assert 0.0 <= said.energy <= 1.0
        assert 12.0 < max(note.end for note in song.notes) < 30.0
        assert all(0 <= note.pitch < 128 and 0 < note.velocity < 128 and note.end > note.start for note in song.notes)
        assert bool(len(starts(song, "drums"))) == said.drums == (said.kit >= 0)
        assert {note.part for note in song.notes} - {"drums"} == {part for part, _ in said.instruments}
        for part, program in said.instruments:
            assert program in getattr(rules, part).programs


@pytest.mark.parametrize("rules", [BY_NAME["jazz"], BY_NAME["house"]], ids=lambda rules: rules.name)
def test_offbeats_lie_where_the_swing_has_them(rules: GenreRules) -> None:
    for seed in range(20):
        song = compose(rules, seed, 20.0)
        said, part = song.attributes, "lead" if rules is BY_NAME["jazz"] else "drums"
        beats = starts(song, part) * said.tempo / 60.0 / rules.swung
        # a part as a whole may be early or late: its onsets on beats say how much
        late = (beats + 0.3) % 1.0 - 0.3
        on, off = late[late < 0.3], late[(late > 0.35) & (late < 0.8)]
        if len(off) > 20 and len(on) > 20:
            assert np.median(off) - np.median(on) == pytest.approx(said.swing, abs=0.06)
    assert swing_position(0.5, 2 / 3, 1.0) == pytest.approx(2 / 3)
    assert [swing_position(n, 0.6, 1.0) for n in (0.0, 1.0, 7.0)] == [0.0, 1.0, 7.0]


def test_chords_are_of_the_key() -> None:
    assert parse("bVII").root == 10
    assert parse("iim7b5").tones == (2, 5, 8, 12)
    assert parse("v").kind == "m"
    with pytest.raises(ValueError, match="no chord"):
        parse("H7")
    assert [note % 12 for note in voice_chord((0, 4, 7), 48, 72, 60.0)] in ([0, 4, 7], [4, 7, 0], [7, 0, 4])
    for seed in range(8):
        song = compose(BY_NAME["classical"], seed)
        said = song.attributes
        counts = np.bincount([note.pitch % 12 for note in song.notes], minlength=12)
        scale = {(step + said.tonic) % 12 for step in SCALES["mode", said.mode == "minor"]}
        assert counts[list(scale)].sum() > 0.8 * counts.sum()
