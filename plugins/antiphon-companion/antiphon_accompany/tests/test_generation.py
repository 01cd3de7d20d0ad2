"""`antiphon run generate`: a piece from nothing, and the part that a file lacks."""

from pathlib import Path

import mido
import pytest

from antiphon.api.backends.files import read_midi
from antiphon.api.jobs import FileJob
from antiphon.kernel.contract.file_use import NOTHING
from antiphon_accompany.files.generation import run
from antiphon_accompany.harmony.chords import KEYS
from antiphon_models.learning.user_commands import command

SCALE = {0, 2, 4, 5, 7, 9, 11}


def made(path: Path, source: str | Path = NOTHING, **settings: object) -> mido.MidiFile:
    run(FileJob("generate", Path(source), path, settings))  # type: ignore[arg-type]
    return mido.MidiFile(path)


def notes(midi: mido.MidiFile, name: str) -> list[tuple[int, int]]:
    """(tick, pitch) of a track."""
    (track,) = (track for track in midi.tracks if track.name == name)
    at, found = 0, []
    for message in track:
        at += message.time
        if message.type == "note_on" and message.velocity:
            found.append((at, message.note))
    return found


def test_a_piece_as_a_user_asks_for_it(tmp_path: Path) -> None:
    command(
        "run", "generate", tmp_path / "a.mid", "-p", "bars=8", "-p", "style=bossa", "-p", "parts=bass,drums",
        "-p", "tempo=120", "-p", "key=D",
    )  # fmt: skip
    midi = mido.MidiFile(tmp_path / "a.mid")
    assert [track.name for track in midi.tracks if track.name] == ["melody", "bass", "drums"]
    assert midi.length == pytest.approx(16.0, abs=0.6)
    bar = 4 * midi.ticks_per_beat
    tune = notes(midi, "melody")
    for part in ("melody", "bass", "drums"):
        assert {at // bar for at, _ in notes(midi, part)} >= set(range(1, 7)), part
    assert sum((pitch - KEYS.index("D")) % 12 in SCALE for _, pitch in tune) > 0.9 * len(tune)


def test_the_key_is_that_of_given_chords(tmp_path: Path) -> None:
    command("run", "generate", tmp_path / "a.mid", "-p", "bars=8", "--chords", "| Em | C | D7 | G |", "-p", "seed=2")
    tune = notes(mido.MidiFile(tmp_path / "a.mid"), "melody")
    assert sum((pitch - 7) % 12 in SCALE for _, pitch in tune) > 0.9 * len(tune)


def test_a_melody_lasts_to_the_end(tmp_path: Path) -> None:
    """The last note of this seed begins seven beats before it; half a beat of air may follow."""
    command("run", "generate", tmp_path / "a.mid", "-p", "bars=8", "--chords", "| Am F | C G |", "-p", "parts=piano")
    (tune,) = (track for track in read_midi(tmp_path / "a.mid").tracks if track.name == "melody")
    assert max(note.end for note in tune.notes) == pytest.approx(32.0, abs=0.5)


def test_the_seed_is_the_piece(tmp_path: Path) -> None:
    one, again, other = (made(tmp_path / f"{n}.mid", bars=8, seed=seed) for n, seed in enumerate((5, 5, 6)))
    assert notes(one, "melody") == notes(again, "melody")
    assert notes(one, "bass") == notes(again, "bass")
    assert notes(one, "melody") != notes(other, "melody")


def test_a_part_is_made_for_a_file_that_lacks_it(tmp_path: Path) -> None:
    whole = made(tmp_path / "a.mid", bars=8, parts="bass,drums", key="C")
    filled = made(tmp_path / "b.mid", tmp_path / "a.mid", fill="bass", style="swing")
    assert [track.name for track in filled.tracks if track.name] == ["melody", "drums", "bass"]
    for part in ("melody", "drums"):
        assert notes(filled, part) == notes(whole, part)
    assert len(notes(filled, "bass")) > 8
    assert notes(filled, "bass") != notes(whole, "bass")


def test_a_part_that_the_file_has_is_said_by_the_command(tmp_path: Path) -> None:
    whole = tmp_path / "a.mid"
    made(whole, bars=8, parts="bass,drums", key="C")
    fill = ("run", "generate", whole, tmp_path / "b.mid", "--force", "-p")
    assert "in place of the bass that IN has" in command(*fill, "fill=bass")
    assert "IN" not in command(*fill, "fill=piano")
    file = mido.MidiFile(whole)
    next(track for track in file.tracks if track.name == "bass").name = "Fretless"
    file.save(whole)
    assert "beside IN's own bass, the track 'Fretless'" in command(*fill, "fill=bass")
