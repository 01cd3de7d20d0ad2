"""Mains hum alone is taken out line by line; what is none stays as it is."""

import numpy as np
import pytest

from antiphon.api.backends.signal import grid
from antiphon_denoise.mains_hum import MainsHumRemover
from antiphon_denoise.tests import sounds


def taken(sound, rate, amount=1.0):
    """The sound `[channels, frames]` hop by hop through `MainsHumRemover`."""
    sizes = grid(rate, 384)
    hum, out = MainsHumRemover(sizes, rate, len(sound)), sound.copy()
    for at in range(0, out.shape[1] - sizes.hop + 1, sizes.hop):
        hop = out[:, at : at + sizes.hop].copy()
        hum.take(hop, amount)
        out[:, at : at + sizes.hop] = hop
    return out


def hummed(mains, rate, seconds=4.0):
    t = np.arange(int(rate * seconds)) / rate
    return (0.05 * sum(np.sin(2 * np.pi * mains * h * t + h) / h for h in range(1, 8))).astype(np.float32)


@pytest.mark.parametrize(("mains", "rate"), [(50.0, 44100), (49.93, 48000), (60.1, 48000), (60.0, 96000)])
def test_hum_goes_within_two_seconds(mains, rate):
    hum = hummed(mains, rate)[None] + sounds.white(4 * rate, 0.001)
    left = taken(hum, rate)[0, 2 * rate : -rate // 10]
    assert sounds.decibels(float(left.std() / hum[0].std())) < -10.0


def test_half_of_it_goes_by_half_and_each_channel_loses_its_own():
    hum = hummed(50.0, 48000)
    sound = np.stack([hum, -0.3 * hum])
    whole, half = taken(sound, 48000), taken(sound, 48000, 0.5)
    late = slice(2 * 48000, -4800)
    assert (whole[:, late].std(axis=1) < 0.3 * sound[:, late].std(axis=1)).all()
    assert half[:, late].std(axis=1) == pytest.approx(0.5 * (sound + whole)[:, late].std(axis=1), rel=0.05)
