"""Note numbers and hertz, of numbers and arrays alike."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.signal.pitch import FLAT_NAMES, SHARP_NAMES, frequency, note_number


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
