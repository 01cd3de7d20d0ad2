"""A texture, by the command, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr

from antiphon.api import StreamSpec, UsageError
from antiphon.api.testing import run_processor
from antiphon_models.learning.user_commands import command
from antiphon_models.transfer.measures import timbre_distance
from antiphon_transfer import texture
from antiphon_transfer.processor import Transfer

RATE = 22050


def rain(seconds, hertz, seed=1):
    """Drops: decaying sines at random times over a little noise."""
    rng = np.random.default_rng(seed)
    out = 0.003 * rng.standard_normal(round(seconds * RATE))
    t = np.arange(2000)
    for at in rng.integers(0, len(out) - 2000, round(30 * seconds)):
        out[at : at + 2000] += np.exp(-t / 400) * np.sin(2 * np.pi * hertz * t / RATE) * rng.uniform(0.05, 0.3)
    return out.astype(np.float32)


def test_a_texture_has_the_length_rate_and_channels_of_in_and_the_timbre_of_the_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(texture, "STEPS", 30)
    monkeypatch.setattr(texture, "ROUNDS", 8)
    source, reference = rain(1.2, 300.0), rain(2.0, 2500.0, seed=2)
    wide = np.stack([soxr.resample(source, RATE, 44100)] * 2, 1)[:-7]
    soundfile.write(tmp_path / "a.wav", wide, 44100)
    soundfile.write(tmp_path / "b.wav", reference, RATE)
    words = ("-p", "mode=texture", "-p", f"reference={tmp_path / 'b.wav'}")
    command("run", "transfer", tmp_path / "a.wav", tmp_path / "out.wav", *words)
    made, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (made.shape, rate) == (wide.shape, 44100)
    made = soxr.resample(made.mean(1), rate, RATE)
    assert timbre_distance(made, reference) < 0.5 * timbre_distance(source, reference)
    # it is no copy: at no shift is it the reference
    match = np.fft.irfft(np.fft.rfft(made, 1 << 17) * np.fft.rfft(reference, 1 << 17).conj())
    assert np.abs(match).max() < 0.5 * np.linalg.norm(made) * np.linalg.norm(reference)
    with pytest.raises(UsageError, match="has no amount"):
        command("run", "transfer", tmp_path / "a.wav", tmp_path / "o.wav", *words, "-p", "amount=0.5")


def test_a_texture_is_refused_live():
    with pytest.raises(UsageError, match="mode=texture is of files: antiphon run transfer"):
        run_processor(Transfer(), StreamSpec(RATE, 256, 1), np.zeros((1, 512), np.float32), {"mode": "texture"})
