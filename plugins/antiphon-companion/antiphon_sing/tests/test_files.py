"""`antiphon run sing`: scores with lyrics."""

from ctypes.util import find_library

import mido
import numpy as np
import pytest
import soundfile

from antiphon.api import AntiphonError
from antiphon.api.jobs import FileJob
from antiphon_sing import jobs, processor, song
from antiphon_sing.jobs import divide_part, note_pitches, read_score, run
from antiphon_sing.tests.singing import RATE, FakeTexts, level

XML = """<?xml version="1.0"?><score-partwise><part-list><score-part id="P1"><part-name>Alto</part-name></score-part>
</part-list><part id="P1"><measure><attributes><divisions>2</divisions></attributes><sound tempo="60"/>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration>
<lyric><syllabic>begin</syllabic><text>Twin</text></lyric></note>
<note><pitch><step>F</step><alter>1</alter><octave>4</octave></pitch><duration>1</duration>
<lyric><syllabic>end</syllabic><text>kle</text></lyric></note>
<note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration></note>
<note><rest/><duration>2</duration></note></measure></part></score-partwise>"""


def midi(path, tracks, bpm=120):
    """Tracks of (note, beats, lyric)."""
    file = mido.MidiFile(ticks_per_beat=480)
    for number, notes in enumerate(tracks):
        track = mido.MidiTrack()
        if not number:
            track.append(mido.MetaMessage("set_tempo", tempo=round(6e7 / bpm)))
        for note, beats, lyric in notes:
            if lyric:
                track.append(mido.MetaMessage("lyrics", text=lyric))
            track.append(mido.Message("note_on", note=note, velocity=100, channel=number))
            track.append(mido.Message("note_off", note=note, time=round(480 * beats), channel=number))
        file.tracks.append(track)
    file.save(path)
    return path


def sung(monkeypatch, source, target, **settings):
    monkeypatch.setattr(processor, "texts", FakeTexts)
    said = []
    run(FileJob("sing", source, target, settings, block=256, complain=said.append))
    sound, rate = soundfile.read(target)
    assert rate == RATE
    return sound.T, said


def test_a_score_is_sung_in_time_and_as_long_as_it_is(tmp_path, monkeypatch):
    score = midi(tmp_path / "a.mid", [[(60, 1, "Twin-"), (62, 1, "kle"), (64, 2, "")], [(48, 4, "ah")]])
    sound, said = sung(monkeypatch, score, tmp_path / "a.wav")
    assert sound.shape[1] == 2 * RATE
    assert said == []
    assert level(sound[0], 0.51) > 0.01
    assert level(sound[0], 1.99, 0.01) < 0.01


@pytest.mark.parametrize(("lyrics", "part"), [("la", "begins again"), ("la la la la la", "not sung")])
def test_too_few_and_too_many_syllables_are_told(tmp_path, monkeypatch, lyrics, part):
    score = midi(tmp_path / "a.mid", [[(60, 0.5, ""), (62, 0.5, "")]])
    _, said = sung(monkeypatch, score, tmp_path / "a.wav", lyrics=lyrics)
    assert part in said[0]


def test_a_score_without_words_is_sung_on_la_and_that_is_told(tmp_path, monkeypatch):
    sound, said = sung(monkeypatch, midi(tmp_path / "a.mid", [[(60, 0.5, ""), (62, 0.5, "")]]), tmp_path / "a.wav")
    assert level(sound[0], 0.3) > 0.01
    assert len(said) == 1
    assert "sung on la" in said[0]
    assert "-p lyrics=" in said[0]


def test_musicxml_has_notes_rests_and_lyrics(tmp_path):
    (tmp_path / "a.musicxml").write_text(XML)
    (part,), seconds = read_score(tmp_path / "a.musicxml")
    assert [(note.start, note.end, note.number) for note in part.notes] == [(0, 1, 60), (1, 1.5, 66), (1.5, 2, 67)]
    assert (part.name, part.lyrics(), seconds) == ("Alto", "Twin-kle -", 3.0)


def test_a_long_text_is_divided_between_nodes(tmp_path):
    score = midi(tmp_path / "a.mid", [[(60, 0.25, "la") for _ in range(30)]])
    (part,), _ = read_score(score)
    pieces = divide_part(part, part.lyrics(), 40)
    assert len(pieces) == 3
    assert np.concatenate([[note.start for note in notes] for _, notes in pieces]).tolist() == [
        note.start for note in part.notes
    ]


def vocal(path, seconds=2.4, rate=44100):
    """A voice with vibrato that swells on one note: 196 Hz with harmonics, from 0.4 s to 2.0 s."""
    t = np.arange(round(seconds * rate)) / rate
    semitones = 0.6 * np.sin(2 * np.pi * 5.0 * t)
    turns = np.cumsum(196.0 * 2.0 ** (semitones / 12.0)) / rate
    sound = sum(np.sin(2 * np.pi * k * turns) * 0.12 / k for k in range(1, 12))
    inside = (t >= 0.4) & (t < 2.0)
    swell = np.where(inside, 0.3 + 0.7 * (t - 0.4) / 1.6, 0.0)
    soundfile.write(path, np.stack([sound * swell, sound * swell], 1), rate)
    return path


@pytest.mark.parametrize("off", [-2.0, 0.0, 2.0])
def test_the_pitch_of_a_note_is_in_its_octave(off):
    """Two periods are as alike as one, and those of this voice lie nearer to whole samples."""
    period = 100.5 * 2.0 ** (-off / 12.0)
    sound = sum(np.sin(2.0 * np.pi * k * np.arange(RATE) / period) / k for k in range(1, 6)).astype(np.float32)
    number = round(69 + 12 * np.log2(RATE / 100.5 / 440.0))
    found = [semitones for _, semitones in note_pitches(sound, RATE, 0.1, 0.9, number)]
    np.testing.assert_allclose(found, 69 + 12 * np.log2(RATE / period / 440.0) - number, atol=0.03)
    assert len(found) > 100


@pytest.mark.parametrize(("given", "made"), [(8000, 48000), (22050, 44100), (44100, 44100), (96000, 96000)])
def test_a_singer_has_at_least_the_rate_of_a_record(given, made):
    assert FileJob.rate_beside(given) == made


def test_a_voice_by_telephone_is_sung_at_48_khz(tmp_path, monkeypatch):
    source, target = vocal(tmp_path / "v.wav", rate=8000), tmp_path / "o.wav"
    monkeypatch.setattr(processor, "texts", FakeTexts)
    monkeypatch.setattr(jobs, "voice_name", str)
    run(FileJob("sing", source, target, {"as": "neural", "lyrics": "ah"}, block=256, complain=lambda text: None))
    assert (soundfile.info(target).samplerate, soundfile.info(target).frames) == (48000, round(2.4 * 48000))


def test_a_recording_is_sung_by_another_voice_at_its_own_pitch_and_loudness(tmp_path, monkeypatch):
    source = vocal(tmp_path / "v.wav")
    monkeypatch.setattr(processor, "texts", FakeTexts)
    monkeypatch.setattr(jobs, "voice_name", str)
    target = tmp_path / "o.wav"
    run(FileJob("sing", source, target, {"as": "neural", "lyrics": "ah"}, block=256, complain=lambda text: None))
    (x, rate), (y, own) = soundfile.read(source), soundfile.read(target)
    assert (own, len(y)) == (rate, len(x))
    x, y = x[:, 0], y[:, 0]
    assert np.abs(y).max() < 1.0

    def pitches(sound):
        """Semitones every 20 ms of the held note."""
        found = note_pitches(sound.astype(np.float32), rate, 0.7, 1.8, 55)
        return np.array([value for _, value in found])

    wanted, sung_pitches = pitches(x), pitches(y)
    n = min(len(wanted), len(sung_pitches))
    assert n > 150
    assert np.abs(wanted[:n] - sung_pitches[:n]).mean() < 0.15
    assert np.ptp(sung_pitches) > 0.9

    def loudness(sound, at):
        return np.sqrt(np.mean(sound[round(at * rate) : round((at + 0.1) * rate)] ** 2))

    assert loudness(y, 1.8) / loudness(y, 0.6) == pytest.approx(loudness(x, 1.8) / loudness(x, 0.6), rel=0.25)
    assert loudness(y, 0.1) < 0.01 * loudness(y, 1.8)


def test_a_voice_that_is_not_installed_is_said_before_a_song_is_taken_apart(tmp_path, monkeypatch):
    source = vocal(tmp_path / "song.wav")
    monkeypatch.setattr(song, "find_spec", lambda name: None)
    monkeypatch.setattr(jobs, "run_job", lambda *_: pytest.fail("the song was taken apart"))
    with pytest.raises(AntiphonError, match="the neural voice is not installed"):
        run(FileJob("sing", source, tmp_path / "o.wav", {"as": "neural", "mix": "song"}, block=256))


@pytest.mark.skipif(find_library("espeak-ng") is None, reason="no espeak-ng")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"as": "xx-nothing"}, "espeak-ng has no voice xx-nothing"), ({"lyrics": "- 12 !"}, "the lyrics have no word")],
)
def test_a_wrong_text_is_refused_before_a_song_is_taken_apart(tmp_path, monkeypatch, wrong, said):
    source = vocal(tmp_path / "song.wav")
    monkeypatch.setattr(jobs, "run_job", lambda *_: pytest.fail("the song was taken apart"))
    with pytest.raises(AntiphonError, match=said):
        run(FileJob("sing", source, tmp_path / "o.wav", {"voice": "en-us", "mix": "song", **wrong}, block=256))


@pytest.mark.parametrize("mix", ["voice", "song"])
def test_of_a_mix_the_voice_is_sung_again_alone_or_with_the_rest(tmp_path, monkeypatch, mix):
    voice = soundfile.read(vocal(tmp_path / "v.wav"))[0]
    band = 0.05 * np.random.default_rng(1).standard_normal(voice.shape)
    soundfile.write(tmp_path / "mix.wav", voice + band, 44100)
    given = {}

    def stems(plugin, source, target, settings, own):
        given.update(own, plugin=plugin, source=source.name)
        soundfile.write(target, voice, 44100, "FLOAT")
        return target

    monkeypatch.setattr(processor, "texts", FakeTexts)
    monkeypatch.setattr(jobs, "voice_name", str)
    monkeypatch.setattr(jobs, "run_job", stems)
    said = []
    settings = {"as": "neural", "lyrics": "ah", "mix": mix}
    run(FileJob("sing", tmp_path / "mix.wav", tmp_path / "o.wav", settings, block=256, complain=said.append))
    assert given == {"only": "voice", "plugin": "stems", "source": "mix.wav"}
    made = soundfile.read(tmp_path / "o.wav")[0]
    assert len(made) == len(voice)
    before = np.sqrt(np.mean(made[: round(0.3 * 44100)] ** 2))
    assert before == pytest.approx(0.05, rel=0.1) if mix == "song" else before < 0.002
    assert np.abs(made[44100:70000]).max() > 0.05


@pytest.mark.parametrize(
    ("kind", "texts", "sung"),
    [
        (1, ("@KMIDI KARAOKE FILE", "\\Frü", "ling ", "/lit", "tle ", "star"), "Frü-ling lit-tle -star"),
        (1, ("a remark", "another"), ""),
        (5, ("さ", "く", "ら"), "-さ -く -ら"),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "shift_jis", "latin-1"])
def test_lyrics_of_midi_files_are_events_or_karaoke(tmp_path, kind, texts, sung, charset):
    try:
        raw = [text.encode(charset) for text in texts]
    except UnicodeError:
        pytest.skip(f"{charset} has no such letters")
    track = bytearray()
    for text in raw:
        track += bytes((0, 0xFF, kind, len(text))) + text
        if not text.startswith(b"@"):
            track += b"\0\x90\x3c\x64\x60\x3c\0"
    track += b"\0\xff\x2f\0"
    file = tmp_path / "a.kar"
    file.write_bytes(b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + len(track).to_bytes(4, "big") + track)
    (part,) = read_score(file)[0]
    assert part.lyrics() == sung
