"""The voices that are installed, by the process that makes frames."""

import numpy as np
import pytest

from antiphon_sing.spoken import VoiceError
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


@pytest.mark.parametrize(("voice", "said"), [("no such voice!", "is no voice"), ("xx-nothing", "no voice")])
def test_an_unknown_voice_is_refused_with_a_sentence(texts, voice, said):
    with pytest.raises(VoiceError, match=said):
        texts.make(("la", voice, 48000))


def test_lyrics_without_a_word_are_refused(texts):
    with pytest.raises(VoiceError, match="no word"):
        texts.make(("- 12 !", "auto", 48000))
