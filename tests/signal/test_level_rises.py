"""Rises of level: where a click is, and what comes before a sound's beginning."""

import numpy as np
import pytest

from antiphon.signal.landmarks import ONSET_RISE, level_rises, piece_frames

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
