"""The node: pitches, beginnings, syllables, slurs; its voices; its patch."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from antiphon.api import Event
from antiphon.cli import main
from antiphon.kernel.runtime.resources import patches
from antiphon_sing import neural, processor
from antiphon_sing.song import Phone, VoiceError, voice_name
from antiphon_sing.tests.singing import RATE, FakeTexts, cents, level, line, sing
from antiphon_sing.texts import Texts

SCRIPT = """
from antiphon.live import node, note, patch, sing, tempo, track
patch("cantor")
tempo(120)
node("cantor").vibrato = 0
track("voice", sing("{}", note("c4 g4")), on="cantor")
"""


def rendered(tmp_path, monkeypatch, lyrics, script=SCRIPT, bars=2):
    monkeypatch.setattr(processor, "texts", FakeTexts)
    source, out = tmp_path / "set.py", tmp_path / "out.wav"
    source.write_text(script.replace("{}", lyrics))
    monkeypatch.setattr("sys.argv", ["antiphon", "render", str(source), "--bars", str(bars), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, out


def test_a_script_sings_its_own_words(tmp_path, monkeypatch):
    code, out = rendered(tmp_path, monkeypatch, "la li")
    assert code == 0
    sound = soundfile.read(out)[0].T[0]
    assert np.abs(sound).max() > 0.01
    assert abs(cents(sound, 0.6, 60)) < 10
    assert abs(cents(sound, 1.6, 67)) < 20
    assert len(sound) >= 4 * RATE


def test_syllables_without_notes_are_refused_with_both_counts(tmp_path, monkeypatch, capsys):
    code, _ = rendered(tmp_path, monkeypatch, "la li lu")
    assert code != 0
    assert "3 syllables for 4 notes in 2 cycles" in capsys.readouterr().err


def test_the_round_has_words_for_four_singers_who_come_one_after_the_other(tmp_path, monkeypatch):
    code, out = rendered(tmp_path, monkeypatch, "", (patches() / "live" / "round.py").read_text(), 5)
    assert code == 0
    sound = soundfile.read(out)[0].T
    bar = 2 * 60 / 104
    first = sound.mean(axis=0)
    for at, number in ((0.3, 60), (1.7, 64)):  # in bars: "row", "boat"
        assert abs(cents(first, at * bar, number)) < 30
    left, right = (
        np.sqrt(np.mean(sound[:, round(a * bar * RATE) : round((a + 1.9) * bar * RATE)] ** 2, 1)) for a in (0, 2)
    )
    assert left[0] > 1.3 * left[1]  # the soprano alone is left
    assert right[1] / right[0] > 1.1 * left[1] / left[0]  # the alto is further right


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


@pytest.mark.skipif("espeak" not in installed(), reason="no espeak-ng")
def test_a_vowel_is_louder_than_the_consonant_before_it(texts, monkeypatch):
    song = texts.make(("low", "espeak", 48000))
    monkeypatch.setattr(FakeTexts, "make", lambda self, key: song)
    sound, _ = sing(monkeypatch, line([55], 1.0), 1.8, lyrics="low", vibrato=0, breath=0, lead=300.0)
    assert level(sound, 0.8 - 0.06, 0.03) < 0.5 * level(sound, 0.8 + 0.06, 0.03)


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


SEEDED = """
import ctypes, sys
from antiphon_sing.child import make

ctypes.CDLL(None).srand(int(sys.argv[1]))
sys.stdout.buffer.write(make("la la", "espeak", 48000, {}).responses.tobytes())
"""


@pytest.mark.skipif("espeak" not in installed(), reason="no espeak-ng")
def test_a_process_whose_chance_is_seeded_otherwise_sings_the_same():
    one, other = (subprocess.check_output([sys.executable, "-c", SEEDED, seed]) for seed in ("2", "3"))
    assert one == other


@pytest.mark.skipif("espeak" not in installed(), reason="no espeak-ng")
def test_one_voice_of_espeak_after_another(texts):
    for voice in ("en-us", "de"):
        assert len(texts.make(("la", voice, 48000)).places) == 1


def test_a_vowel_is_placed_where_the_voice_is():
    loud = np.zeros(30, np.float32)
    loud[7:12] = 0.4
    phones = [Phone("n", 0, 4.0, 10.0), Phone("ɛ", 0, 10.0, 14.0, True), Phone("k", 0, 14.0, 20.0)]
    n, vowel, k = neural._shift_vowels(phones, loud)
    assert (n.end, vowel.start, vowel.end, k.start) == (8.0, 8.0, 12.0, 12.0)
    assert neural._shift_vowels(phones[:1], loud) == phones[:1]


LEAD = 0.1


def test_notes_have_their_pitches(monkeypatch):
    numbers = [48, 60, 67, 72]
    sound, _ = sing(monkeypatch, line(numbers), 3.0, lyrics="la la la la", vibrato=0, breath=0)
    off = [cents(sound, LEAD + 0.7 + 0.5 * n, number) for n, number in enumerate(numbers)]
    np.testing.assert_allclose(off, 0.0, atol=5.0)


def test_notes_shorter_than_the_lead_are_all_sung(monkeypatch):
    sound, _ = sing(monkeypatch, line([60, 62, 64, 65, 67], 0.18), 2.5, lyrics="la li lu lo la", breath=0, lead=350.0)
    held = [level(sound, 0.35 + 0.5 + 0.18 * n + 0.04) for n in range(5)]
    assert min(held) > 0.4 * max(held)


def test_a_dated_note_has_its_vowel_on_the_beat_and_a_played_one_begins_at_once(monkeypatch):
    dated, _ = sing(monkeypatch, line([60]), 1.2, lyrics="la", breath=0)
    assert level(dated, LEAD + 0.42) > 0.003  # its consonant, which is without pitch
    assert level(dated, LEAD + 0.52) > 3 * level(dated, LEAD + 0.47)
    played, _ = sing(monkeypatch, line([60], live=True), 1.2, lyrics="la", breath=0)
    assert np.abs(played[: RATE // 2]).max() == 0.0
    assert level(played, 0.5, 0.035) > 0.003


def test_a_key_holds_its_vowel_and_its_end_is_sung_when_it_is_up(monkeypatch):
    events = [Event("on", 0, 57, 0.8, live=True), Event("off", 2 * RATE, 57, live=True)]
    sound, _ = sing(monkeypatch, events, 2.6, lyrics="la", vibrato=0, breath=0)
    held = [level(sound, at) for at in (0.5, 1.0, 1.9)]
    assert max(held) < 1.3 * min(held)
    assert level(sound, 2.5) < 0.001


@pytest.mark.parametrize(("lyrics", "count"), [("la la la", 0), ("twin-kle star", 0), ("la la", 1), ("la li lu lo", 3)])
def test_each_note_takes_the_next_syllable(monkeypatch, lyrics, count):
    _, reports = sing(monkeypatch, line([60, 62, 64]), 2.5, lyrics=lyrics)
    assert reports["next"] == count


def test_a_melisma_holds_the_vowel_without_its_consonant(monkeypatch):
    events = line([60, 64])
    slurred, _ = sing(monkeypatch, events, 1.8, lyrics="la -", vibrato=0, breath=0)
    apart, _ = sing(monkeypatch, events, 1.8, lyrics="la la", vibrato=0, breath=0)
    before = LEAD + 0.93  # where the consonant of another syllable is
    assert level(slurred, before) > 3 * level(apart, before)
    assert abs(cents(slurred, LEAD + 1.2, 64)) < 5


def test_a_key_beside_another_slurs_and_a_chord_sings_one_syllable(monkeypatch):
    legato = [Event("on", 0, 60, 0.8, live=True), Event("on", RATE // 2, 67, 0.8, live=True)]
    sound, reports = sing(monkeypatch, legato, 1.2, lyrics="la li lu", vibrato=0, breath=0)
    assert abs(cents(sound, 0.9, 67)) < 5
    assert reports["next"] == 1
    chord = [Event("on", n, number, 0.8, live=True) for n, number in enumerate([60, 64, 67])]
    assert sing(monkeypatch, chord, 0.5, lyrics="la li lu")[1]["next"] == 1


def test_a_jump_a_value_of_a_note_and_the_pedal_choose_the_syllable(monkeypatch):
    lyrics = "la li / lu lo le"
    jumped = sing(monkeypatch, line([60]), 1.2, changes=[(100, "syllable", 3)], lyrics=lyrics)
    assert jumped[1]["next"] == 4
    pedal = [*line([60, 60, 60, 60]), Event("control", round(2.6 * RATE), 64, 1.0)]
    assert sing(monkeypatch, pedal, 3.0, lyrics=lyrics)[1]["next"] == 2


def test_bend_and_size(monkeypatch):
    note = [Event("on", 0, 57, 0.8, live=True), Event("bend", RATE // 2, 0, 1.0)]
    sound, _ = sing(monkeypatch, note, 1.0, lyrics="la", vibrato=0, breath=0)
    assert abs(cents(sound, 0.7, 59)) < 5

    def center(size):
        sound, _ = sing(monkeypatch, note[:1], 0.8, lyrics="la", vibrato=0, breath=0, size=size)
        power = np.abs(np.fft.rfft(sound[RATE // 2 :] * np.hanning(len(sound) - RATE // 2))) ** 2
        return (power * np.arange(len(power))).sum() / power.sum()

    assert center(1.3) > 1.15 * center(1.0)


def test_nine_keys_are_eight_voices(monkeypatch):
    chord = [Event("on", 0, 48 + 2 * n, 0.5, live=True) for n in range(9)]
    sound, reports = sing(monkeypatch, chord, 0.5, lyrics="la")
    assert reports["dropped"] == 1
    assert np.isfinite(sound).all()


def test_what_is_sung_has_no_offset(monkeypatch):
    sound, _ = sing(monkeypatch, line([48, 50]), 2.0, lyrics="la la", vibrato=0.0)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert power[: round(40 * 2.0)].sum() < 0.005 * power.sum()


def test_a_dated_change_of_pitch_is_as_late_as_its_note(monkeypatch):
    events = [*line([60], 1.0), Event("pitch", round(1.0 * RATE), 60, 2.0)]
    events.sort(key=lambda event: event.offset)
    sound, _ = sing(monkeypatch, events, 2.2, lyrics="la", lead=300.0, vibrato=0.0)
    assert abs(cents(sound, 1.12, 60)) < 30
    assert abs(cents(sound, 1.35, 62)) < 30


@pytest.mark.parametrize("live", [True, False])
def test_a_key_of_a_chord_may_end_before_a_melisma(monkeypatch, live):
    events = [Event("on", 0, number, 0.8, live=live) for number in (60, 64, 67)]
    events += [Event("off", RATE // 2, number, live=live) for number in (60, 64, 67)]
    sound, _ = sing(monkeypatch, events, 2.0, lyrics="la - la", lead=0, vibrato=0, breath=0)
    assert level(sound, 0.3) > 0.003
    assert level(sound, 1.8) < 0.001
