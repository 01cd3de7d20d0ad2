"""`antiphon run continue IN.mid OUT.mid`: the file as it was, and bars more from the next bar line."""

import json
from itertools import pairwise
from pathlib import Path

import mido
import pytest
import soundfile
from tests.each import each

from antiphon.api import UsageError
from antiphon.api.backends.cli import run_command
from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon_models.learning.user_commands import command

SCALE = (60, 64, 67, 65, 64, 62, 59, 62)


def song(path: Path, beats: int = 31) -> None:
    """A melody of quarters and eighths that ends within a bar, chords and drums."""
    melody = [MidiNote(float(n), 0.9, SCALE[n % 8], 0.7, 1) for n in range(beats)]
    melody += [MidiNote(n + 0.5, 0.4, SCALE[(n + 3) % 8], 0.6, 1) for n in range(2, beats - 1, 4)]
    chords = [MidiNote(4.0 * n, 3.5, pitch, 0.5, 2) for n in range(7) for pitch in (48, 52, 55)]
    drums = [MidiNote(float(n), 0.2, 36, 0.9, 10) for n in range(28)]
    tracks = [("CHORDS", chords), ("MELODY", sorted(melody, key=lambda n: n.start)), ("DRUMS", drums)]
    write_midi(path, [MidiTrack(name, tuple(notes)) for name, notes in tracks], 96.0)


def test_all_tracks_are_kept_and_eight_bars_follow(tmp_path: Path) -> None:
    song(tmp_path / "in.mid")
    words = ("run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", "-p", "bars=8", "-p", "seed=1")
    command(*words, "--report", tmp_path / "report.json")
    before, after = read_midi(tmp_path / "in.mid"), read_midi(tmp_path / "out.mid")
    assert [track.name for track in after.tracks] == [track.name for track in before.tracks]
    assert after.tempo == before.tempo
    for old, new in zip(before.tracks, after.tracks, strict=True):
        assert new.notes[: len(old.notes)] == old.notes
        assert len(new.notes) == len(old.notes) or new.name == "MELODY"
    melody = next(track for track in after.tracks if track.name == "MELODY").notes
    added = [note for note in melody if note.start >= 32.0]
    assert len(added) > 16
    assert 63.7 < max(note.end for note in added) <= 64.0
    assert {note.number % 12 for note in added} <= {0, 2, 4, 5, 7, 9, 11}
    assert added[-1].number % 12 in (0, 4, 7)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["from"], report["key"]) == (32.0, "C")
    both, prior = (sum(row[column] for row in report["bits"][20:]) for column in (1, 2))
    assert both < 0.7 * prior, "the melody repeats itself, and the memory knows"

    command(*words[:3], tmp_path / "again.mid", *words[4:])
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "out.mid").read_bytes()
    command(*words[:3], tmp_path / "other.mid", "-p", "bars=8", "-p", "seed=2")
    assert (tmp_path / "other.mid").read_bytes() != (tmp_path / "out.mid").read_bytes()


@each("originality", [4, 8])
def test_no_longer_run_than_originality_is_copied(tmp_path: Path, originality: int) -> None:
    song(tmp_path / "in.mid")
    (tmp_path / "out.mid").unlink(missing_ok=True)
    wishes = ("-p", f"originality={originality}", "-p", "bars=32")
    command("run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", *wishes)
    melody = next(track for track in read_midi(tmp_path / "out.mid").tracks if track.name == "MELODY").notes
    steps = [(b.number - a.number, round(4 * (b.start - a.start))) for a, b in pairwise(melody)]
    start = next(n for n, note in enumerate(melody) if note.start >= 32.0)
    size = originality  # steps of one note more
    known = {tuple(steps[n : n + size]) for n in range(start - 1 - size)}
    assert not any(tuple(steps[n : n + size]) in known for n in range(start, len(steps) - size + 1))


@pytest.mark.parametrize(("signature", "bar"), [((3, 4), 3.0), ((6, 8), 3.0), ((7, 8), 3.5), ((5, 4), 5.0)])
def test_it_begins_on_a_bar_line_of_the_files_meter(tmp_path: Path, signature: tuple[int, int], bar: float) -> None:
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=signature[0], denominator=signature[1])])
    for n in range(25):
        track.append(mido.Message("note_on", note=SCALE[n % 8], velocity=80))
        track.append(mido.Message("note_off", note=SCALE[n % 8], time=240))
    mido.MidiFile(type=0, tracks=[track]).save(tmp_path / "in.mid")
    command(
        "run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", "-p", "bars=4", "--report", tmp_path / "r.json"
    )
    start = json.loads((tmp_path / "r.json").read_text())["from"]
    assert start == bar * -(-12.5 // bar)
    added = [note for note in read_midi(tmp_path / "out.mid").tracks[0].notes if note.start >= 12.5]
    assert start <= added[0].start < start + bar
    assert -0.6 * bar < max(note.end for note in added) - start - 4 * bar <= 0.0


def test_the_key_is_that_of_all_notes_not_of_the_highest_alone(tmp_path: Path) -> None:
    chords = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
    notes = [MidiNote(float(n), 0.9, pitch, 0.6, 1) for n in range(32) for pitch in chords[n // 4 % 4]]
    write_midi(tmp_path / "in.mid", [MidiTrack("", tuple(notes))])
    command("run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", "--report", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["key"] == "C"
    track = next(track for track in read_midi(tmp_path / "out.mid").tracks if track.notes)
    assert {note.number % 12 for note in track.notes if note.start >= 32.0} <= {0, 2, 4, 5, 7, 9, 11}


def test_what_is_played_with_a_file_is_a_track_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    song(tmp_path / "in.mid")
    before = read_midi(tmp_path / "in.mid").tracks
    melody = [(note.start, note.number) for track in before if track.name == "MELODY" for note in track.notes]
    played = {}
    for mode in ("trade", "shadow", "canon", "accompany"):
        out = tmp_path / f"{mode}.mid"
        wishes = [word for wish in (f"mode={mode}", "bars=2", "pause=4", "meter=3") for word in ("-p", wish)]
        typed = ["run", "answer", str(tmp_path / "in.mid"), str(out), *wishes]
        assert run_command(typed) == 0
        assert "meter, pause of answer have no effect on this file" in capsys.readouterr().err
        *kept, own = read_midi(out).tracks
        assert [track.notes for track in kept] == [track.notes for track in before]
        assert (own.name, own.notes[0].channel) == ("ANSWER", 3)
        played[mode] = [(note.start, note.number) for note in own.notes]
    assert played["shadow"] == melody
    assert played["canon"] == [(start + 8.0, number) for start, number in melody]
    assert {int(start // 8) % 2 for start, _ in played["trade"]} == {1}, "in turn"
    assert len(played["accompany"]) > 8
    soundfile.write(tmp_path / "in.wav", [0.0] * 480, 48000)
    with pytest.raises(UsageError, match="mode trade is for sound that is played live"):
        command("run", "answer", tmp_path / "in.wav", tmp_path / "out.wav", "-p", "audio=on", "-p", "mode=trade")


def test_without_a_name_the_melody_is_the_line_that_is_like_one(tmp_path: Path) -> None:
    chords = tuple(MidiNote(2.0 * n, 1.9, pitch, 0.6, 1) for n in range(16) for pitch in (48, 52, 55))
    line = tuple(MidiNote(n / 2, 0.45, SCALE[n % 8] + 12, 0.8, 2) for n in range(64))
    write_midi(tmp_path / "in.mid", [MidiTrack("", chords), MidiTrack("", line)])
    command("run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", "-p", "bars=2")
    last = read_midi(tmp_path / "out.mid").tracks[-1].notes
    assert 39.7 < max(note.end for note in last) <= 40.0
