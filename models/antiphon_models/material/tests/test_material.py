"""Notes go into a MIDI file and come back; the programs are asked in one place each; songs come in labelled parts."""

import io
import json
import stat
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon_models.learning.needs import explain_missing
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, FluidSettings, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.part_songs import PartChord, PartNote, songs
from antiphon_models.material.singing import speak

MODELS = Path(__file__).parents[2]


@pytest.mark.parametrize("ticks", [960, 9600])
def test_the_servers_reader_reads_what_is_written(tmp_path: Path, ticks: int) -> None:
    events = [
        (0, program_change(0, 40)),
        (ticks // 2, note_on(0, 60, 100)),
        (ticks, note_off(0, 60)),
        # a delta of four bytes
        (ticks * 3000, note_on(9, 36, 1)),
        (ticks * 3001, note_off(9, 36)),
    ]
    (tmp_path / "a.mid").write_bytes(midi_bytes(events, ticks))
    song = read_midi(tmp_path / "a.mid")
    (track,) = song.tracks
    found = [(song.seconds(n.start), song.seconds(n.end), n.number, round(127 * n.velocity)) for n in track.notes]
    np.testing.assert_allclose(found, [(0.5, 1.0, 60, 100), (3000.0, 3001.0, 36, 1)])
    assert [n.channel for n in track.notes] == [1, 10]
    assert track.program == 40


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program of that name first on the path."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\nHERE = Path({str(folder)!r})\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def wave(sound: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_fluidsynth_is_asked_for_what_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-0.5, 0.5, 200, dtype=np.float32).reshape(100, 2)
    (tmp_path / "x.wav").write_bytes(wave(x, 44100))
    program(
        tmp_path,
        "fluidsynth",
        "(HERE / 'asked').write_text('\\n'.join(sys.argv[1:]))\n"
        "(HERE / 'score').write_bytes(Path(sys.argv[-1]).read_bytes())\n"
        "Path(sys.argv[sys.argv.index('-F') + 1]).write_bytes((HERE / 'x.wav').read_bytes())\n",
        monkeypatch,
    )
    score, font = midi_bytes([(0, note_on(0, 60, 90))]), tmp_path / "font.sf2"
    font.touch()
    settings = FluidSettings(
        gain=0.6, reverb=True, chorus=None, options=(("synth.reverb.level", "0.8"),), samples="s16"
    )
    assert np.array_equal(fluidsynth.play(score, font, 44100, settings), x)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert " ".join(asked[:-4]) == "-ni -q -g 0.6 -r 44100 -O s16 -T wav -R 1 -o synth.reverb.level=0.8"
    assert (asked[-4], asked[-2]) == ("-F", str(font))
    assert (tmp_path / "score").read_bytes() == score


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fluidsynth.missing([tmp_path / "no.sf2"]) == ["fluidsynth", str(tmp_path / "no.sf2")]
    with pytest.raises(FileNotFoundError, match="espeak-ng"):
        speak("hello", "en")


def test_a_missing_soundfont_is_not_replaced_by_another(tmp_path: Path) -> None:
    """FluidSynth itself plays its default soundfont then: figures of two soundfonts were of one."""
    score = midi_bytes([(0, note_on(0, 60, 100)), (480, note_off(0, 60))])
    with (
        pytest.raises(UsageError, match=r"identify needs .*TimGM6mb\.sf2; sudo apt-get install timgm6mb-soundfont"),
        explain_missing("identify"),
    ):
        fluidsynth.play(score, tmp_path / "TimGM6mb.sf2", 8000, FluidSettings(0.5))


def test_espeak_says_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-0.5, 0.5, 100, dtype=np.float32)
    (tmp_path / "x.wav").write_bytes(wave(x, 22050))
    program(
        tmp_path,
        "espeak-ng",
        "(HERE / 'asked').write_text('\\n'.join(sys.argv[1:]))\n"
        "sys.stdout.buffer.write((HERE / 'x.wav').read_bytes())\n",
        monkeypatch,
    )
    sound = speak("hello there", "en+f1", 150, 40, 22050)
    assert np.array_equal(sound, x)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert " ".join(asked) == "-v en+f1 -s 150 -p 40 --stdout hello there"


@pytest.mark.skipif(bool(fluidsynth.missing([FLUID])), reason="needs fluidsynth and FluidR3_GM")
def test_fluidsynth_plays_the_note_that_is_asked_for() -> None:
    x = fluidsynth.play(
        midi_bytes([(0, note_on(0, 69, 100)), (960, note_off(0, 69))]), FLUID, 44100, FluidSettings(1.0)
    )
    spectrum = np.abs(np.fft.rfft(x[:44100].mean(axis=1) * np.hanning(44100)))
    assert abs(int(np.argmax(spectrum)) % 440) in (0, 1, 439)


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
