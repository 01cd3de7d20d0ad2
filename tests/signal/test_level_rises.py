"""Rises of level: where a click is, and what comes before a sound's beginning."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.signal import SHARP_NAMES
from antiphon.signal.landmarks import ONSET_RISE, level_rises, piece_frames
from antiphon.signal.pitch import FLAT_NAMES, KEY_NAMES, frequency, key_name, note_number, root_name

RATE = 48000
STEP = piece_frames(RATE)


@pytest.mark.parametrize("circular", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_only_the_piece_of_a_step_and_the_one_before_it_rise(kind: type, circular: bool) -> None:
    sound = np.full(100 * STEP, 0.1, kind)
    sound[50 * STEP :] *= 4.0
    rise = level_rises(sound, RATE, range(1, 10), circular=circular)
    assert rise.dtype == kind
    assert len(rise) == 100
    # before the end the beginning comes, or silence: neither rises
    assert set(np.flatnonzero(rise[12:] > ONSET_RISE) + 12) == {49, 50}
    assert rise[50] == pytest.approx(2.0, abs=0.2)


def test_before_the_beginning_is_silence_or_the_end() -> None:
    sound = np.full(100 * STEP, 0.1)
    assert level_rises(sound, RATE, range(1, 10), circular=False)[0] > ONSET_RISE
    assert level_rises(sound, RATE, range(1, 10), circular=True).max() < 0.1


def test_a_snare_under_a_loud_bass_rises_and_the_periods_of_the_bass_do_not() -> None:
    at = np.arange(500 * STEP) / RATE
    sound = 0.8 * np.tanh(4.0 * np.sin(2.0 * np.pi * 43.0 * at))
    assert level_rises(sound, RATE, range(2, 11), circular=False)[30:].max() < 0.3
    noise = 0.15 * np.random.default_rng(5).standard_normal(20 * STEP)
    for place in (100, 240, 400):
        sound[place * STEP : (place + 20) * STEP] += noise * np.linspace(1.0, 0.0, len(noise))
    rise = level_rises(sound, RATE, range(1, 11), circular=False)
    assert [n for n in range(30, 500) if rise[n] > ONSET_RISE] == [99, 100, 239, 240, 399, 400]


@given(st.floats(0, 127))
def test_a_number_and_an_array_have_the_same_pitch(note):
    assert frequency(note) == 440.0 * math.pow(2.0, (note - 69.0) / 12.0)
    assert frequency(np.full(3, note)) == pytest.approx([frequency(note)] * 3, rel=1e-12)
    assert note_number(frequency(note)) == pytest.approx(note, abs=1e-9)
    assert note_number(np.full(3, frequency(note))) == pytest.approx([note] * 3, abs=1e-9)


def test_known_pitches():
    assert (frequency(69), frequency(57), note_number(880.0)) == (440.0, 220.0, 81.0)
    assert all(type(made) is float for made in (frequency(60), frequency(np.float64(60)), note_number(261.6)))
    assert SHARP_NAMES.index("A#") == FLAT_NAMES.index("Bb") == 10


def test_roots_are_written_as_in_the_key():
    assert [key_name(f"{name} {mode}") for name in ("A#", "D#", "Gb") for mode in ("major", "minor")] == [
        "Bb major", "Bb minor", "Eb major", "Eb minor", "F# major", "F# minor"
    ]  # fmt: skip
    written = {
        "C major": "C Db D Eb E F F# G Ab A Bb B",
        "E major": "C C# D D# E F F# G G# A A# B",
        "Db major": "C Db D Eb E F Gb G Ab A Bb B",
        "G minor": "C C# D Eb E F F# G Ab A Bb B",
        "A minor": "C C# D D# E F F# G G# A Bb B",
    }
    for key, roots in written.items():
        assert " ".join(root_name(root, KEY_NAMES.index(key)) for root in range(12)) == roots
