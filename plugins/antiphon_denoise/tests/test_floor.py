"""The noise floor: noise is found, music without any is passed as it is, and less than the noise is removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import F32
from antiphon_denoise.bands import BINS, COUNT
from antiphon_denoise.floor.bound import MOST, Bound
from antiphon_denoise.floor.features import ROWS, FloorFeatures
from antiphon_denoise.floor.hearing import hear
from antiphon_models.learning.user_commands import command

RATE = 44100
RNG = np.random.default_rng(47)


def dense(seconds: float = 12.0) -> F32:
    """Chords of driven saws, a kick and cymbals, limited, as loud masters are."""
    n = np.arange(round(seconds * RATE))
    sound = np.zeros(len(n))
    for beat in range(round(seconds * 4)):
        here = (n >= beat * RATE / 4) & (n < (beat + 1) * RATE / 4)
        t = (n[here] - n[here][0]) / RATE
        for step in (0, 7, 12, 16):
            hertz = 82.4 * 2 ** ((step + (0, 3, 5, 7)[beat // 4 % 4]) / 12)
            sound[here] += (2 * (hertz * t % 1) - 1) * np.exp(-2 * t)
        sound[here] += 2 * np.sin(2 * np.pi * 55 * t) * np.exp(-20 * t)
        sound[here] += RNG.standard_normal(len(t)) * np.exp(-25 * t)
    return np.tanh(2 * sound).astype(np.float32) * np.float32(0.9)


def tones() -> F32:
    """Notes of a tenth of a second with pauses."""
    n = np.arange(12 * RATE)
    shape = np.exp(-8 * (n % (RATE // 2)) / RATE)
    return (0.3 * shape * np.sin(2 * np.pi * 440 * n / RATE)).astype(np.float32)


def hiss(decibels: float) -> F32:
    return (10 ** (decibels / 20) * RNG.standard_normal(12 * RATE)).astype(np.float32)


@pytest.mark.parametrize("mode", ["learned", "gate", "wavelet", "autoencoder"])
def test_a_file_without_noise_is_passed_sample_for_sample_and_said(mode: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.stack([dense(), tones()], 1), RATE, "FLOAT")
    said = command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "-p", f"mode={mode}")
    assert np.array_equal(*(soundfile.read(tmp_path / name)[0] for name in ("in.wav", "out.wav")))
    assert said.endswith("-p floor=off takes what may be noise all the same\n")


def test_what_went_is_said_and_how_to_keep_more(tmp_path: Path) -> None:
    for decibels, end in ((-45, " dB in pauses\n"), (-12, "; to keep more of it: -p amount=0.5\n")):
        soundfile.write(tmp_path / "in.wav", tones() + hiss(decibels), RATE, "FLOAT")
        said = command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", "-p", "for=music")
        assert "took " in said
        assert said.endswith(end)


def test_of_steady_noise_its_power_is_told_and_of_told_noise_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tones() + hiss(-40), RATE, "FLOAT")
    heard = hear(tmp_path / "in.wav", {"for": "music"}, ())
    assert not heard.as_it_is
    assert heard.told[0][30] == pytest.approx(1e-4, rel=0.5)
    for values, fired in (({"causal": True}, ()), ({}, ("learn",))):
        assert hear(tmp_path / "in.wav", values, fired).told is None


def test_a_call_is_played_at_the_rate_of_the_networks_and_written_at_its_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", (tones() + hiss(-30))[:40001], 8000)
    command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "-p", "for=music")
    before, after = (soundfile.read(tmp_path / name) for name in ("in.wav", "out.wav"))
    assert (after[1], len(after[0])) == (8000, 40001)
    assert np.std(after[0][-600:]) < 0.1 * np.std(before[0][-600:])


def test_no_more_is_removed_than_the_bound() -> None:
    power, noise = np.ones(BINS, np.float32), np.full(COUNT, 0.05, np.float32)
    gain = np.zeros(BINS, np.float32)
    Bound(BINS).apply(power, noise, gain)
    assert (1 - gain) ** 2 == pytest.approx(MOST * 0.05, rel=1e-4)
    Bound(BINS).apply(power, np.full(COUNT, 1.0, np.float32), gain := np.zeros(BINS, np.float32))
    assert not gain.any()


def test_features_are_of_the_newest_rows() -> None:
    """By numpy on the rows, in order, where the ring has turned."""
    features, rows = FloorFeatures(1, np.ones(COUNT, np.float32)), RNG.uniform(0.1, 1.0, (ROWS + 37, 2, COUNT))
    for row in rows.astype(np.float32):
        features.add(row)
    features.average()
    features.describe(5)
    levels = 10 * np.log10(rows[37:, 0, 5])
    mean = 10 * np.log10(rows[37:, 0, 5].mean())
    lowest = levels.reshape(-1, 25).min(1)
    found = features.values[5]
    assert found[0] == pytest.approx((np.sort(levels)[int(0.05 * (ROWS - 1))] - mean) / 6, abs=1e-3)
    assert found[8] == pytest.approx(np.abs(np.diff(levels)).mean() / 3, abs=1e-3)
    assert found[10] == pytest.approx(lowest.std() / 4, abs=1e-3)
