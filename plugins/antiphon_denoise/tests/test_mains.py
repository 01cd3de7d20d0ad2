"""Mains hum alone is taken out line by line; what is none stays as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.signal import grid
from antiphon_denoise.mains_hum import MainsHumRemover

_spec = importlib.util.spec_from_file_location("denoise_sounds", Path(__file__).with_name("sounds.py"))
assert _spec is not None
assert _spec.loader is not None
sounds = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sounds)


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


def test_after_a_preroll_hum_is_gone_from_the_first_hop_on():
    rate = 48000
    hum = hummed(50.06, rate)[None] + sounds.white(4 * rate, 0.001)
    sizes = grid(rate, 384)
    remover, left = MainsHumRemover(sizes, rate, 1), {}
    for name in ("preroll", "file"):
        out = hum.copy()
        for at in range(0, rate, sizes.hop):
            hop = out[:, at : at + sizes.hop].copy()
            remover.take(hop, 1.0)
            out[:, at : at + sizes.hop] = hop
        left[name] = sounds.decibels(float(out[0, : rate // 10].std() / hum[0, : rate // 10].std()))
        remover.rewind()
    assert left["preroll"] > -1.0
    assert left["file"] < -15.0


def test_half_of_it_goes_by_half_and_each_channel_loses_its_own():
    hum = hummed(50.0, 48000)
    sound = np.stack([hum, -0.3 * hum])
    whole, half = taken(sound, 48000), taken(sound, 48000, 0.5)
    late = slice(2 * 48000, -4800)
    assert (whole[:, late].std(axis=1) < 0.3 * sound[:, late].std(axis=1)).all()
    assert half[:, late].std(axis=1) == pytest.approx(0.5 * (sound + whole)[:, late].std(axis=1), rel=0.05)


@pytest.mark.parametrize("made", [sounds.melody, sounds.voice])
def test_sound_without_hum_is_not_touched(made):
    sound = made(48000, 4.0)[None]
    changed = taken(sound, 48000) - sound
    assert sounds.decibels(float(changed.std() / sound.std())) < -30.0
