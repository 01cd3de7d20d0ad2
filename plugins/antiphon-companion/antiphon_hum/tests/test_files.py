"""`antiphon run hum`: a sound in, as much sound out, and the notes as MIDI."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import Value
from antiphon.api.backends.files import MidiSong, read_midi
from antiphon.api.backends.synths import BackendChoice, SynthInfo, use_backend
from antiphon.api.backends.workers import current_pool
from antiphon.api.jobs import FileJob
from antiphon.testing import use_pool
from antiphon_hum import jobs
from antiphon_hum.jobs import describe_transcription, run, write_notes
from antiphon_hum.notes import Transcription, notes_of
from antiphon_hum.quantise import FrameNote, on_grid

TUNE = [60, 64, 67, 64]


@pytest.fixture(scope="module", autouse=True)
def backend():
    use_backend(BackendChoice(SynthInfo("impulse", "tests.synth.impulse:Impulse", "none")))
    yield
    use_backend(None)
    made = current_pool()
    if made is not None:
        made.shut()
        use_pool(None)


def hummed(rate: int, gap: float = 0.1) -> np.ndarray:
    """Four notes of 0.3 s from 0.3 s on, softly begun and ended."""
    parts = [np.zeros(round(0.3 * rate))]
    t = np.arange(round(0.3 * rate)) / rate
    for pitch in TUNE:
        hertz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 6))
        parts += [0.1 * wave * np.minimum(1.0, np.minimum(t, t[::-1]) / 0.01), np.zeros(round(gap * rate))]
    return np.concatenate(parts).astype(np.float32)


def done(folder: Path, sound: np.ndarray, rate: int, **settings: Value) -> tuple[np.ndarray, int, MidiSong]:
    """The file job's sound `[frames, channels]`, its rate, and its notes."""
    source, target, notes = folder / "in.wav", folder / "out.wav", folder / "notes.mid"
    soundfile.write(source, sound, rate, "FLOAT")
    _, of_notes = run(FileJob("hum", source, target, settings, beside={"midi-out": notes}))
    made, made_rate = soundfile.read(target, dtype="float32", always_2d=True)
    song = read_midi(notes)
    ends = max((end for _, _, end in sung(song)), default=0.0)
    assert of_notes.seconds == pytest.approx(ends, abs=0.01), "what is printed"
    return made, made_rate, song


def sung(song: MidiSong) -> list[tuple[int, float, float]]:
    return [(n.number, song.seconds(n.start), song.seconds(n.end)) for track in song.tracks for n in track.notes]


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (96000, 1)])
def test_a_piano_as_long_as_the_hum_and_its_notes(tmp_path, rate, channels):
    sound = np.tile(hummed(rate)[:, None], (1, channels))[: -rate // 100 - 17]
    made, made_rate, song = done(tmp_path, sound, rate)
    own = 48000 if rate == 8000 else rate  # a piano needs more than a telephone has
    assert (made.shape, made_rate) == ((len(sound) * own // rate, channels), own)
    notes = sung(song)
    assert [number for number, _, _ in notes] == TUNE
    for (_, start, end), wanted in zip(notes, np.arange(4) * 0.4 + 0.3, strict=True):
        assert abs(start - wanted) < 0.025
        assert abs(end - start - 0.3) < 0.06
        # the backend marks a note's first frame
        place = round(start * own)
        assert np.abs(made[max(0, place - own // 500) : place + own // 500]).max() > 0.0


def test_the_clock_of_quantise_is_that_of_the_midi_file(tmp_path):
    _, _, song = done(tmp_path, hummed(48000, 0.33), 48000, quantise="1/8", bpm=90.0)
    assert song.tempo[0][1] == pytest.approx(90.0)
    starts = [n.start for track in song.tracks for n in track.notes]
    assert len(starts) == 4
    np.testing.assert_allclose(starts, np.round(np.array(starts) * 2) / 2, atol=0.005)


@pytest.mark.parametrize("beat", [452.262 / 44100, 452.7 / 44100, 0.0])
def test_a_first_note_whose_line_is_rounded_down_is_at_the_beginning_of_the_midi_file(tmp_path, beat):
    sung = [
        FrameNote(round(44100 * (beat + 0.5 * n)) + 200, round(44100 * (beat + 0.5 * n)) + 9000, 60, 0.5)
        for n in range(4)
    ]
    notes = on_grid(sung, 44100, "1/8", 60.0, beat, 44100 * 3)
    write_notes(tmp_path / "out.mid", Transcription(tuple(notes), 44100 * 3, None, 60.0, beat), 44100, 0.0)
    song = read_midi(tmp_path / "out.mid")
    starts = [song.seconds(n.start) for track in song.tracks for n in track.notes]
    assert starts == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.002)


def test_what_was_found_and_what_it_cost_is_told():
    plain = Transcription((), 48000)
    assert describe_transcription(plain, "auto", "off", 0.0) == ""
    both = Transcription((), 48000, (2, "minor"), 92.04, left=1)
    assert describe_transcription(both, "auto", "auto", 0.0) == (
        "the notes are in D minor, their tempo was found to be 92.0 bpm (-p bpm=… sets another), one note is left out "
        "because no grid line was free (a finer quantise keeps more)"
    )
    assert describe_transcription(Transcription((), 48000, (2, "minor"), 92.0), "D", "minor", 92.0) == ""


@pytest.mark.parametrize("sound", [np.zeros(48000), np.full(17, 0.1)])
def test_nothing_to_hear_is_silence_as_long_and_a_sentence(tmp_path, capsys, sound):
    made, _, song = done(tmp_path, sound.astype(np.float32), 48000)
    assert made.shape == (len(sound), 1)
    assert not made.any()
    assert sung(song) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "in.wav: no note was found in it" in line


def test_a_file_is_judged_by_all_of_it_and_live_by_what_has_been():
    """A first note sung with a scoop is distinguished from a syllable by the level notes after it."""
    rate = 48000
    t = np.arange(round(0.5 * rate)) / rate
    pitch = 62.0 - 2.0 * np.exp(-t / 0.04) + 0.3 * np.sin(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * np.cumsum(440.0 * 2.0 ** ((pitch - 69) / 12)) / rate
    wave = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 6)) * np.minimum(1.0, np.minimum(t, t[::-1]) / 0.01)
    sound = np.concatenate([np.zeros(rate // 3), wave, hummed(rate), hummed(rate)]).astype(np.float32)
    assert [n.number for n in notes_of(sound, rate)] == [62, *TUNE, *TUNE]
    assert [n.number for n in notes_of(sound, rate, live=True)][-8:] == [*TUNE, *TUNE]


def test_with_lead_the_notes_are_those_of_the_voice_that_is_taken_out(tmp_path, monkeypatch):
    voice, asked = hummed(16000), []
    soundfile.write(tmp_path / "voice.wav", voice, 16000, "FLOAT")

    @contextmanager
    def separated(source, part, progress):
        asked.append((source.name, part))
        yield tmp_path / "voice.wav", tmp_path / "rest.wav"

    monkeypatch.setattr(jobs, "separated_file", separated)
    _, _, alone = done(tmp_path, voice, 16000, mode="learned")
    band = voice + 0.3 * np.sin(np.arange(len(voice)) * 0.05).astype(np.float32)
    _, _, led = done(tmp_path, band, 16000, mode="learned", lead=True)
    assert asked == [("in.wav", "voice")]
    assert [note[0] for note in sung(led)] == [note[0] for note in sung(alone)] == TUNE
