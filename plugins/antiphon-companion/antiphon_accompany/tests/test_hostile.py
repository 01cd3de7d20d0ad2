"""Files nobody should have written: each gives one sentence or an accompaniment, soon, and never half a file."""

import random
from pathlib import Path

import mido
import pytest

from antiphon.api import AntiphonError
from antiphon.files.scores import midifile
from antiphon_accompany.files import midifiles
from antiphon_accompany.files.midifiles import accompany_midi
from antiphon_accompany.tests.playing import accompaniment

Words = list[mido.Message | mido.MetaMessage]


def on(note: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=80, time=time, channel=channel)


def off(note: int, time: int = 240, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=note, velocity=0, time=time, channel=channel)


def meter(upper: int, lower: int, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=upper, denominator=lower, time=time)


def tempo(bpm: float, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=time)


def scale(count: int = 8, channel: int = 0) -> Words:
    """Eighths up and down C major."""
    keys = (60, 62, 64, 65, 67, 65, 64, 62)
    return [m for n in range(count) for m in (on(keys[n % 8], 0, channel), off(keys[n % 8], 240, channel))]


def save(path: Path, *tracks: Words, kind: int = 1) -> Path:
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    file.tracks.extend(mido.MidiTrack(words) for words in tracks)
    file.save(path)
    return path


def refused(source: Path, target: Path) -> str:
    with pytest.raises(AntiphonError) as told:
        accompany_midi(source, target)
    assert not target.exists()
    said = str(told.value)
    assert "\n" not in said
    assert source.name in said
    assert len(said) < 240
    return said


def test_mutated_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes changed, lost and added by chance, the header most."""
    monkeypatch.setattr(midifiles, "MAX_BEATS", 100)
    words = [tempo(96), meter(3, 4), *scale(6)]
    good = save(tmp_path / "good.mid", words).read_bytes()
    source, target = tmp_path / "bad.mid", tmp_path / "out.mid"
    played = 0
    for seed in range(90):
        chance, content = random.Random(seed), bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            at = chance.randrange(len(content) if chance.random() < 0.6 else min(50, len(content)))
            match chance.randrange(4):
                case 0:
                    content[at] ^= 1 << chance.randrange(8)
                case 1:
                    del content[at : at + chance.randrange(1, 9)]
                case 2:
                    content[at:at] = chance.randbytes(chance.randrange(1, 9))
                case _:
                    content[at] = chance.randrange(256)
        source.write_bytes(bytes(content))
        target.unlink(missing_ok=True)
        said = ""
        try:
            accompany_midi(source, target)
        except AntiphonError as error:
            said = str(error)
        assert "\n" not in said, seed
        assert target.exists() is not bool(said), seed
        if not said:
            assert accompaniment(target), seed
            played += 1
    assert 9 < played < 81


def test_only_drums(tmp_path: Path) -> None:
    assert "no notes" in refused(save(tmp_path / "drums.mid", scale(8, channel=9)), tmp_path / "out.mid")


def test_too_long_too_many_too_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = save(tmp_path / "late.mid", [on(60, 480 * 30_000), off(60)])
    assert "too long" in refused(late, tmp_path / "out.mid")
    monkeypatch.setattr(midifiles, "MAX_NOTES", 99)
    many = save(tmp_path / "many.mid", scale(100))
    assert "99 notes" in refused(many, tmp_path / "out.mid")
    monkeypatch.setattr(midifile, "MAX_FILE", 1 << 10)
    assert "larger than" in refused(save(tmp_path / "big.mid", scale(300)), tmp_path / "out.mid")


def test_thousands_of_notes_at_once(tmp_path: Path) -> None:
    """All keys, struck again every few ticks: 8,000 notes in some eight beats."""
    words = [on(n * 37 % 128, n % 2) for n in range(8_000)]
    source, target = save(tmp_path / "cloud.mid", [*words, off(0, 1)]), tmp_path / "out.mid"
    accompany_midi(source, target, chords_text="C G")
    last = -(-4000 // 1920)
    assert {note.start // 4 for note in accompaniment(target)} >= set(range(last - 1))
    assert max(note.end for note in accompaniment(target)) <= last * 4


def test_bars_that_change_all_the_time(tmp_path: Path) -> None:
    changes = [meter(2 + n % 4, 8, 240) for n in range(1000)]
    assert "meter=4" in refused(save(tmp_path / "bars.mid", changes, scale(64)), tmp_path / "out.mid")
    source = tmp_path / "bars.mid"
    assert accompany_midi(source, tmp_path / "out.mid", {"meter": 4}).notes
    same = save(tmp_path / "same.mid", [meter(4, 4, 0 if n == 0 else 1920) for n in range(1000)], scale(16))
    assert len(midifiles.sections(midifiles.read(same))) == 1


def test_notes_that_are_never_ended(tmp_path: Path) -> None:
    words = [on(60), on(64, 960), on(67, 960), mido.MetaMessage("text", text="end", time=960)]
    source, target = save(tmp_path / "open.mid", words), tmp_path / "out.mid"
    accompany_midi(source, target)
    assert max(note.end for note in accompaniment(target)) <= 8
    assert list(mido.MidiFile(target).tracks[0]) == list(mido.MidiFile(source).tracks[0])
