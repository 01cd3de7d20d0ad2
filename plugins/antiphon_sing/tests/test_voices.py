"""The voices that are installed, by the process that makes frames."""

import numpy as np
import pytest

from antiphon_sing import neural
from antiphon_sing.song import Phone, VoiceError
from antiphon_sing.tests.singing import RATE, FakeTexts, line, sing
from antiphon_sing.texts import Texts
from antiphon_sing.voicing import voice_name


def installed():
    found = []
    for name in ("espeak", "neural"):
        try:
            voice_name(name)
        except VoiceError:
            continue
        found.append(name)
    return found


@pytest.fixture(scope="module")
def texts():
    made = Texts()
    yield made
    made.close()


@pytest.mark.parametrize("voice", installed())
def test_a_voice_gives_a_place_to_every_syllable(texts, voice):
    song = texts.make(("twin-kle lit-tle - star", voice, 48000))
    assert len(song.places) == 6
    assert [place.held for place in song.places] == [False, False, False, False, True, False]
    for place in song.places:
        assert place.onset <= place.vowel <= place.low <= place.high <= place.end < len(song.responses)
        assert np.abs(song.responses[int(place.low)]).max() > 0.0
    star = song.places[-1]
    hiss = song.noise[round(star.onset * song.hop) : round(star.vowel * song.hop)]
    assert hiss.std() > 3.0 * song.noise[round(star.low * song.hop) : round(star.high * song.hop)].std()


@pytest.mark.skipif("espeak" not in installed(), reason="no espeak-ng")
def test_a_held_vowel_has_the_spectra_of_the_spoken_one(texts, monkeypatch):
    song = texts.make(("lamb", "espeak", 48000))
    place = song.places[0]
    monkeypatch.setattr(FakeTexts, "make", lambda self, key: song)
    sound, _ = sing(monkeypatch, line([48], 1.2), 1.8, lyrics="lamb", vibrato=0, breath=0, lead=300.0)
    window = np.hanning(2048)
    heard = [
        np.abs(np.fft.rfft(sound[n : n + 2048] * window)) for n in range(round(1.0 * RATE), round(1.6 * RATE), 480)
    ]
    bands = np.add.reduceat(np.array(heard)[:, 8:176] ** 2, np.arange(0, 168, 12), axis=1)
    moved = (10 * np.log10(bands)).std(axis=0).mean()
    assert place.high - place.low > 0.5 * (place.high - place.vowel)
    assert moved > 0.5  # dB


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("no such voice!", "^voice: .*is no voice"),
        ("xx-nothing", "^voice: .*no voice xx-nothing; auto, neural, espeak"),
    ],
)
def test_an_unknown_voice_is_refused_with_a_sentence(texts, voice, said):
    with pytest.raises(VoiceError, match=said):
        texts.make(("la", voice, 48000))


@pytest.mark.skipif("espeak" not in installed(), reason="no espeak-ng")
def test_one_voice_of_espeak_after_another(texts):
    for voice in ("en-us", "de"):
        assert len(texts.make(("la", voice, 48000)).places) == 1


def test_lyrics_without_a_word_are_refused(texts):
    with pytest.raises(VoiceError, match="no word"):
        texts.make(("- 12 !", "auto", 48000))


def test_a_vowel_is_placed_where_the_voice_is():
    loud = np.zeros(30, np.float32)
    loud[7:12] = 0.4
    phones = [Phone("n", 0, 4.0, 10.0), Phone("ɛ", 0, 10.0, 14.0, True), Phone("k", 0, 14.0, 20.0)]
    n, vowel, k = neural._placed(phones, loud)
    assert (n.end, vowel.start, vowel.end, k.start) == (8.0, 8.0, 12.0, 12.0)
    assert neural._placed(phones[:1], loud) == phones[:1]
