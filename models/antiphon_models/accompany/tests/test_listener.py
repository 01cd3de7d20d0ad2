"""What the listener of styles is shown."""

import numpy as np

from antiphon_accompany.band.notes import BeatNote
from antiphon_models.accompany.listener import GROOVES, windows


def band(places, bars=8):
    """A kick on each beat and chords on some places of it."""
    kicks = [BeatNote(float(n), n + 0.2, 36, 0.8, "drums") for n in range(4 * bars)]
    chords = [BeatNote(n + at, n + at + 0.4, 60, 0.5, "piano") for n in range(4 * bars) for at in places]
    return sorted(kicks + chords)


def test_each_four_bars_are_a_row_and_rows_of_one_pattern_are_alike():
    rows = windows(band((0.5,), bars=9), 4)
    assert len(rows) == 2
    assert len(GROOVES) == 11
    np.testing.assert_allclose(rows[0], rows[1])


def test_swung_eighths_are_not_even_ones():
    even, swung = (windows(band((0.0, at)), 4)[0] for at in (0.5, 2 / 3))
    assert (even != swung).sum() >= 2
