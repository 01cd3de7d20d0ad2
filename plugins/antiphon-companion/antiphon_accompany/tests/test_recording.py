"""A band beneath a recording: its level, and what of the sound is over full scale where no limit is wanted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from antiphon.api import AntiphonError, UsageError
from antiphon.api.backends.analysis import LoudnessMeter
from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon.api.jobs import FileJob, Written
from antiphon.files.sound_finish import NOTES_LUFS, SoundFinish
from antiphon_accompany.files import jobs
from antiphon_accompany.harmony.chordtext import spans_of
from antiphon_models.learning.user_commands import command


@pytest.fixture
def beneath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Written]:
    """Writes a recording as `out.wav` at 48 kHz, over a band that has no notes."""
    summary = SimpleNamespace(notes=[], tempo=100.0, key="C", bars=1, mixes=[], fitted="", seconds=1.0)
    monkeypatch.setattr(jobs, "melody_of_sound", lambda _, folder, __: folder / "melody.mid")
    monkeypatch.setattr(jobs, "accompany_midi", lambda *_: summary)

    def write(sound: np.ndarray, limit: bool | None = None) -> Written:
        soundfile.write(tmp_path / "in.wav", sound, 44100, subtype="FLOAT")
        job = FileJob("accompany", tmp_path / "in.wav", tmp_path / "out.wav", finish=SoundFinish(48000, limit))
        (written,) = jobs.run(job)
        return written

    return write


@pytest.mark.usefixtures("beneath")
def test_a_band_beneath_a_telephone_s_voice_has_48_khz(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(8000), 8000)
    jobs.run(FileJob("accompany", tmp_path / "in.wav", tmp_path / "out.wav"))
    found = soundfile.info(tmp_path / "out.wav")
    assert (found.samplerate, found.frames) == (48000, 72000)


def test_what_is_over_full_scale_is_limited_unless_that_is_refused(
    tmp_path: Path, beneath: Callable[..., Written]
) -> None:
    """The sum is below full scale; the edges of a square wave are not once they are resampled."""
    square = 0.97 * np.sign(np.sin(2 * np.pi * 441 * np.arange(44100) / 44100 + 0.1))
    raw = beneath(square, limit=False)
    assert "samples were over full scale" in raw.over
    assert (raw.rate, raw.channels) == (48000, 1)
    assert not beneath(square).over
    meter = LoudnessMeter(48000, 1)
    meter.feed(soundfile.read(tmp_path / "out.wav", dtype="float32")[0][None])
    assert meter.integrated_loudness() == pytest.approx(NOTES_LUFS, abs=0.2)


def test_a_loud_stroke_does_not_make_all_of_it_softer(tmp_path: Path, beneath: Callable[..., Written]) -> None:
    sound = 0.2 * np.sin(2 * np.pi * 441 * np.arange(88200) / 44100)
    sound[44100:44200] *= 10.0
    assert not beneath(sound).over
    found, rate = soundfile.read(tmp_path / "out.wav")
    quiet = found[: rate // 2], found[3 * rate // 2 : 2 * rate]
    assert [20 * np.log10(np.abs(x).max() / 0.2) for x in quiet] == pytest.approx([0.0, 0.0], abs=0.1)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ([(0.0, 1.0, "N"), (1.0, 5.0, "G:sus4"), (5.0, 9.0, "C:maj7/3")], 3),
        ([(0.0, 6.0, "N"), (6.0, 9.0, "G:7")], 0),
        ([], 0),
    ],
)
def test_a_recording_that_has_chords_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[tuple[float, float, str]], lines: int
) -> None:
    """A lone voice has few."""
    monkeypatch.setattr(jobs, "analyse_file", lambda *_: {"music": (1, {"chords": found}, "")})
    text = jobs.detect_sound_chords(tmp_path / "in.wav").text
    assert text.count("\n") == lines
    assert not lines or [span.chord and span.chord.name for span in spans_of(text, 4.0, float)][1:] == [
        "Gsus4",
        "Cmaj7/E",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"), [(("-p", "parts=paino"), "parts takes piano"), (("--chords", "| Q7 |"), "'Q7' is no chord")]
)
def test_a_wrong_text_is_refused_before_a_recording_is_transcribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, str], said: str
) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(44100), 44100)
    monkeypatch.setattr(jobs, "melody_of_sound", lambda *_: pytest.fail("it was transcribed"))
    with pytest.raises(AntiphonError, match=said):
        command("run", "accompany", tmp_path / "in.wav", tmp_path / "out.wav", *wrong)


def test_a_tempo_that_nothing_tells_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a recording with chords and no beat, and of one with too few notes."""
    said: list[str] = []
    job = FileJob("accompany", tmp_path / "air.wav", tmp_path / "out.mid", complain=said.append)
    tempos = {}

    def transcribed(source: Path, target: Path, settings: object, notes: int = 4) -> Path:
        if not source.name.startswith("line"):
            raise UsageError("no note")
        write_midi(target, [MidiTrack("hum", tuple(MidiNote(n, 0.5, 60) for n in range(notes)), 0)], 90.0)
        return target

    monkeypatch.setattr(jobs, "transcribe", transcribed)
    for tempo in (0.0, 84.0):
        own = jobs.OwnChords("0.0 4.0 C:maj\n4.0 8.0 G:maj\n", tempo)
        tempos[tempo] = read_midi(jobs.melody_of_sound(job, tmp_path, own)).tempo[0][1]
    assert tempos == {0.0: pytest.approx(100.0), 84.0: pytest.approx(84.0, abs=0.01)}
    jobs.melody_of_sound(replace(job, source=tmp_path / "line.wav"), tmp_path, jobs.OwnChords())
    assert [sentence.partition(": ")[0].partition(".wav ")[2] for sentence in said] == [
        "has no beat that is heard",
        "has too few notes for a tempo",
    ]
    assert "100 bpm" in said[0]
    assert "90 bpm" in said[1]


def test_a_part_has_the_level_of_each_style_from_its_bar_on() -> None:
    mixed, block = np.zeros((1, 12288), np.float32), np.ones((1, 4096), np.float32)
    jobs._add(mixed, iter([block, block, block]), [(0.0, 0.0), (6000.0, -20.0)])
    assert mixed[0, [0, 5999, 8049, -1]] == pytest.approx([1.0, 1.0, 0.1, 0.1], abs=1e-3)
