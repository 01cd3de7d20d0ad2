"""Loudness by the signals of EBU Tech 3341: stereo sines of 1 kHz, with what the two gates leave out."""

import numpy as np
import pytest

from antiphon.signal.loudness import LoudnessMeter

RATE = 48000


@pytest.mark.parametrize(
    ("levels", "seconds", "asked"),
    [
        ((-23.0,), (20.0,), -23.0),
        ((-33.0,), (20.0,), -33.0),
        ((-36.0, -23.0, -36.0), (10.0, 60.0, 10.0), -23.0),
        ((-72.0, -36.0, -23.0, -36.0, -72.0), (10.0, 10.0, 60.0, 10.0, 10.0), -23.0),
        ((-26.0, -20.0, -26.0), (20.0, 20.1, 20.0), -23.0),
    ],
)
def test_integrated_loudness_of_the_published_signals(
    levels: tuple[float, ...], seconds: tuple[float, ...], asked: float
) -> None:
    gains = [np.full(round(length * RATE), 10 ** (dbfs / 20)) for dbfs, length in zip(levels, seconds, strict=True)]
    gain = np.concatenate(gains)
    sine = gain * np.sin(2 * np.pi * 1000.0 / RATE * np.arange(len(gain)))
    assert LoudnessMeter.of(np.stack([sine, sine]).astype(np.float32), RATE) == pytest.approx(asked, abs=0.1)
