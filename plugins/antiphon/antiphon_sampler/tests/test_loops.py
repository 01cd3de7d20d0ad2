"""Notes that last: loops and root notes of WAV files, oscillators, and their seams."""

import struct

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import Event
from antiphon.signal.loudness import LoudnessMeter
from antiphon_sampler.general_midi import HELD, HOP, RATE as FONT_RATE, loop_end
from antiphon_sampler.loops import read_sample_marks
from antiphon_sampler.oscillators import NAMES, PITCHED, oscillators
from antiphon_sampler.tests.conftest import RATE
from antiphon_sampler.tests.test_motion import peak
from antiphon_sampler.tests.test_values import played


def wave(frames: int, period: float, rate: int, tail: int = 0) -> np.ndarray:
    """A tone of five partials, and noise behind it, which its loop leaves out."""
    n = np.arange(frames)
    tone = sum(np.sin(2 * np.pi * k * n / period + k) / k for k in range(1, 6)) * 0.2
    return np.concatenate([tone, np.random.default_rng(1).uniform(-0.5, 0.5, tail)])


def with_loop(path, sound, rate, first, last, root=60, cents=0, before=False):
    """A WAV file with a chunk `smpl` before or after its sound; `last` is the loop's last frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype="FLOAT")
    smpl = struct.pack("<9I6I", 0, 0, 0, root, cents, 0, 0, 1, 0, 0, 0, first, last, 0, 0)
    smpl = b"smpl" + struct.pack("<I", len(smpl)) + smpl
    data = path.read_bytes()
    at = data.index(b"data") if before else len(data)
    data = data[:at] + smpl + data[at:]
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def beside(y: np.ndarray, hertz: float, partials: int) -> float:
    """Level in dB of all that is not at a tone's partials, relative to the tone."""
    n = np.arange(len(y))
    turned = (y * np.exp(-2j * np.pi * hertz * n / RATE))[: len(y) // 2400 * 2400].reshape(-1, 2400).mean(axis=1)
    drift = np.polyfit(np.arange(len(turned)), np.unwrap(np.angle(turned)), 1)[0] / 2400 * RATE / (2 * np.pi)
    assert abs(drift) < 2e-4 * hertz, "it is out of tune by more than a third of a cent"
    hertz += drift
    columns = [f(2 * np.pi * k * hertz * n / RATE) for k in range(1, partials + 1) for f in (np.sin, np.cos)]
    basis = np.stack([np.ones(len(y)), *columns], axis=1)
    rest = y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    # the loudest piece of 5 ms: a click is short
    pieces = rest[: len(rest) // 240 * 240].reshape(-1, 240)
    return float(20 * np.log10(np.sqrt((pieces**2).mean(axis=1)).max() / np.sqrt(np.mean(y**2))))


@each("before", [True, False])
@each("rate", [RATE, 44100])
def test_a_wav_sounds_by_its_loop_until_the_note_ends(play, tmp_path, rate, before):
    with_loop(tmp_path / "tone" / "x.wav", wave(12000, 100.0, rate, tail=2000), rate, 5000, 6999, 69, before=before)
    notes = [Event("on", 0, 69, 1.0), Event("off", 4 * RATE, 69)]
    y = play(notes, 5 * RATE, library=str(tmp_path), s="tone", pads="pitch").audio[0][0]
    hertz = rate / 100.0
    assert beside(y[RATE // 20 : 4 * RATE].astype(np.float64), hertz, 5) < -60.0
    assert np.abs(y[4 * RATE + RATE // 100 :]).max() == 0.0


def test_a_short_loop_from_the_first_frame_is_in_tune(play, tmp_path):
    with_loop(tmp_path / "tone" / "x.wav", wave(101, 101.0, 44100), 44100, 0, 100)
    y = play([Event("on", 0, 67, 1.0)], 3 * RATE, library=str(tmp_path), s="tone", pads="named").audio[0][0]
    assert beside(y[4800:].astype(np.float64), 44100 / 101 * 2 ** (7 / 12), 5) < -60.0


def test_a_message_without_an_end_plays_the_file_once(play, tmp_path):
    with_loop(tmp_path / "tone" / "x.wav", wave(12000, 100.0, RATE), RATE, 5000, 6999)
    for ends, lasts in (({}, 12000), ({"sustain": 1.0}, RATE)):
        y = play(list(played(0, s="tone", **ends)), 2 * RATE, library=str(tmp_path)).audio[0][0]
        assert np.flatnonzero(y)[-1] == pytest.approx(lasts, abs=200)


def test_the_root_of_a_file_is_the_note_at_which_it_sounds_as_recorded(play, tmp_path):
    with_loop(tmp_path / "tone" / "x.wav", wave(24000, 100.0, RATE), RATE, 5000, 6999, root=57, cents=1 << 31)
    for pads in ("pitch", "named"):
        y = play([Event("on", 0, 69, 1.0)], RATE, library=str(tmp_path), s="tone", pads=pads).audio[0][0]
        assert peak(y[4800:]) == pytest.approx(480.0 * 2 ** (11.5 / 12), rel=1e-3), pads
    with_loop(tmp_path / "other" / "g3.wav", wave(24000, 100.0, RATE), RATE, 5000, 6999, root=57)
    y = play([Event("on", 0, 67, 1.0)], RATE, library=str(tmp_path), s="other", pads="named").audio[0][0]
    assert peak(y[4800:]) == pytest.approx(960.0, rel=1e-3), "the name comes first"


@each("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVEsmpl\xff\xff\xff\xff", b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 5000])
def test_a_broken_file_has_no_marks(tmp_path, data):
    (tmp_path / "x.wav").write_bytes(data)
    assert read_sample_marks(tmp_path / "x.wav") == (-1.0, 0, 0, 0)


def test_a_loop_beyond_the_end_is_none(play, tmp_path):
    with_loop(tmp_path / "tone" / "x.wav", wave(12000, 100.0, RATE), RATE, 5000, 1 << 31)
    y = play([Event("on", 0, 60, 1.0)], RATE, library=str(tmp_path), s="tone").audio[0][0]
    assert np.flatnonzero(y)[-1] == pytest.approx(12000, abs=200)


@each("name", NAMES)
def test_an_oscillator_lasts_as_long_as_its_note(play, name):
    y = play(list(played(0, s=name, note=57, lasts=14.0)), 8 * RATE, library="", pads="named").audio[0][0]
    levels = np.sqrt((y.reshape(16, -1) ** 2).mean(axis=1))
    steady = 14.0 if name == "crackle" else 6.0
    assert 20 * np.log10(levels[:14].max() / levels[:14].min()) < steady
    assert levels[15] == 0.0


@each("name", ["sine", "triangle", "square", "sawtooth", "pulse"])
@each("note", [45, 62, 77])
def test_an_oscillator_is_the_wave_of_its_name_without_a_click(play, name, note):
    y = play(list(played(0, s=name, note=note, lasts=6.0)), 3 * RATE, library="", pads="named").audio[0][0]
    y, hertz = y[4800 : 2 * RATE].astype(np.float64), 440.0 * 2 ** ((note - 69) / 12)
    assert peak(y) == pytest.approx(hertz, rel=2e-3)
    part = np.arange(len(y)) * hertz / RATE
    found = [abs(np.vdot(np.exp(2j * np.pi * k * part) * np.hanning(len(y)), y)) for k in range(1, 6)]
    partials = np.array(found) / found[0]
    pulse = np.abs(np.sin(np.pi * 0.2 * np.arange(1, 6))) / np.sin(np.pi * 0.2) / np.arange(1, 6)
    expected = {"sine": [1, 0, 0, 0, 0], "triangle": [1, 0, 1 / 9, 0, 1 / 25], "square": [1, 0, 1 / 3, 0, 1 / 5],
                "sawtooth": [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5], "pulse": pulse}[name]  # fmt: skip
    assert partials == pytest.approx(expected, abs=0.02)
    if name == "sine":
        assert beside(y, hertz, 1) < -60.0


def test_a_key_holds_an_oscillator_on_a_node_that_plays_notes_to_their_end(play):
    notes = [Event("on", 0, 60, 1.0), Event("off", 3 * RATE, 60)]
    y = play(notes, 4 * RATE, library="", s="sawtooth").audio[0][0]
    assert np.flatnonzero(y)[-1] == pytest.approx(3 * RATE, abs=200)
    assert set(PITCHED) < set(NAMES)


@each("falls, loops", [(0.0, True), (1.0, True), (8.0, False)])
def test_a_held_note_of_a_soundfont_repeats_unless_it_decays(falls, loops):
    n = np.arange(HELD * HOP + HOP) / FONT_RATE
    tone = 0.3 * np.sin(2 * np.pi * 331.7 * n) * 10 ** (-falls * n / 20.0)
    tone[HELD * HOP :] = 0.0
    made, first = loop_end(np.stack([tone, tone]).astype(np.float32))
    assert (first >= 0) == loops
    if loops:
        turned = np.concatenate([made, made[:, first:], made[:, first:]], axis=1)[0]
        steady = turned[first - 4800 :].astype(np.float64)
        levels = np.abs(steady[: len(steady) // 4800 * 4800].reshape(-1, 4800)).max(axis=1)
        assert 20 * np.log10(levels.max() / levels.min()) < 2.5
        assert np.abs(np.diff(steady, 2)).max() < 1.5 * 0.3 * (2 * np.pi * 331.7 / FONT_RATE) ** 2


@each("name", ["sine", "sawtooth", "white", "pluck", "bass", "bd", "sd", "breaks"])
def test_a_vowel_is_about_as_loud_as_the_sound_without_it(play, name):
    def loudness(**values) -> float:
        notes = [
            event
            for k, note in enumerate((48, 55, 63))
            for event in played(k * 24000, s=name, note=note, lasts=1.0, **values)
        ]
        return LoudnessMeter.of(play(notes, 2 * RATE, library="", pads="named").audio[0], RATE)

    assert [loudness(vowel=vowel) for vowel in "aeiou"] == pytest.approx([loudness()] * 5, abs=4.0)


def test_velocity_is_a_factor_of_the_level_where_it_is_linear(play):
    def level(velocity: float, linear: bool) -> float:
        y = play(list(played(0, s="sine", note=57, velocity=velocity, lasts=2.0)), RATE, library="", linear=linear)
        return float(20 * np.log10(np.sqrt(np.mean(y.audio[0][0] ** 2))))

    for linear, half, fifth in ((True, -6.02, -13.98), (False, -12.04, -27.96)):
        assert level(0.5, linear) - level(1.0, linear) == pytest.approx(half, abs=0.1)
        assert level(0.2, linear) - level(1.0, linear) == pytest.approx(fifth, abs=0.1)


def test_oscillators_are_at_three_tenths_of_a_sample() -> None:
    tones = oscillators(48000)
    for name in ("sine", "square", "sawtooth", "triangle"):
        sample = tones.decode(tones.place(tones.listing.names.index(name), 3, 1.0))
        assert abs(sample.sound).max() == pytest.approx(0.3, abs=0.06), name
