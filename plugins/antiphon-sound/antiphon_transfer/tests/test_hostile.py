"""Odd inputs and references: each works or is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import FileError, StreamSpec
from antiphon.testing import run_processor
from antiphon_transfer.processor import Transfer

RATE = 44100
MODES = ("envelope", "wavelet")
RNG = np.random.default_rng(5)
SOUND = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE) + 0.01 * RNG.standard_normal(RATE)).astype(np.float32)


def write(path: Path, sound: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> str:
    soundfile.write(path, sound, rate, subtype)
    return str(path)


def through(sound: np.ndarray, path: str, mode: str = "envelope", rate: int = RATE) -> np.ndarray:
    return run_processor(Transfer(), StreamSpec(rate, 256, len(sound)), sound, {"mode": mode, "reference": path})


@pytest.mark.parametrize("mode", MODES)
def test_eight_channels_and_a_reference_of_eight(tmp_path: Path, mode: str) -> None:
    sound = SOUND[:12000] * np.linspace(0.1, 0.8, 8, dtype=np.float32)[:, None]
    made = through(sound, write(tmp_path / "b.wav", np.repeat(SOUND[:, None], 8, axis=1)), mode)
    assert made.shape == sound.shape
    assert np.isfinite(made).all()
    level = np.sqrt(np.mean(made[:, 6000:] ** 2, axis=1))
    np.testing.assert_allclose(level / level[0], np.linspace(1, 8, 8), rtol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_reference_at_another_rate_is_the_same_reference(tmp_path: Path, mode: str) -> None:
    """A tone of 2 kHz raises what lies at 2 kHz, whatever rate it was saved at."""
    levels = []
    hiss = 0.05 * np.random.default_rng(2).standard_normal((1, RATE)).astype(np.float32)
    for rate in (16000, 44100, 96000):
        tone = 0.3 * np.sin(2 * np.pi * 2000 * np.arange(rate) / rate) + 1e-4 * RNG.standard_normal(rate)
        made = through(hiss, write(tmp_path / f"{rate}.wav", tone, rate), mode)[0, RATE // 2 :]
        spectrum, hertz = np.abs(np.fft.rfft(made)), np.fft.rfftfreq(len(made), 1 / RATE)
        bands = (hertz > 1900) & (hertz < 2100), (hertz > 4000) & (hertz < 6000)
        near, far = (np.sqrt(np.mean(spectrum[band] ** 2)) for band in bands)
        levels.append(20 * np.log10(near / far))
    assert min(levels) > 8
    assert max(levels) - min(levels) < 6


@pytest.mark.parametrize(("place", "value"), [(0, np.nan), (500, np.inf), (RATE - 1, -np.inf)])
def test_one_bad_sample_in_a_reference_is_named(tmp_path: Path, place: int, value: float) -> None:
    bad = SOUND.copy()
    bad[place] = value
    with pytest.raises(FileError, match="not a number") as refused:
        through(SOUND[None, :1000], write(tmp_path / "b.wav", bad))
    assert "\n" not in str(refused.value)


def test_a_reference_of_an_hour_is_refused_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "hour.wav", np.zeros(3600 * 1000, np.int16), 1000, "PCM_U8")
    with pytest.raises(FileError, match="minutes") as refused:
        through(SOUND[None, :1000], path)
    assert "\n" not in str(refused.value)


def test_of_a_long_reference_the_loudest_minute_counts(tmp_path: Path) -> None:
    soft = 1e-3 * RNG.standard_normal(8000 * 70)
    loud = 0.2 * np.convolve(RNG.standard_normal(8000 * 60), np.ones(8) / 8, "same")
    whole = write(tmp_path / "whole.wav", np.concatenate([soft, loud, soft]), 8000)
    part = write(tmp_path / "part.wav", loud, 8000)
    quiet = write(tmp_path / "quiet.wav", soft, 8000)
    hiss = 0.1 * np.random.default_rng(3).standard_normal((1, 8000)).astype(np.float32)
    made, wanted, other = (_roughness(through(hiss, path, "envelope", 8000)) for path in (whole, part, quiet))
    assert made == pytest.approx(wanted, rel=0.1)
    assert other > 1.5 * wanted


def _roughness(sound: np.ndarray) -> float:
    """Level of its differences over its own: more where it is brighter."""
    return float(np.diff(sound).std() / sound.std())
