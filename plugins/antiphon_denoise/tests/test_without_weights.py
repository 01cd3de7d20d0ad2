"""With an empty models folder the denoiser says so, and is a plain, careful gate."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.backends.models import ModelError
from antiphon.api.testing import run_processor
from antiphon_denoise.gate import network
from antiphon_denoise.processor import Denoise
from antiphon_models.denoise.sdr import si_sdr

SPEC = StreamSpec(48000, 256, 1)


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModelError(f"no model {name!r} is installed")

    network.load_weights.cache_clear()
    monkeypatch.setattr(network, "read_weights", missing)
    yield
    network.load_weights.cache_clear()


def test_it_says_so_and_goes_on(empty, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(2)
    t = np.arange(3 * SPEC.rate) / SPEC.rate
    clean = (0.3 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 2 * t) > 0)).astype(np.float32)
    noise = (rng.standard_normal(len(t)) * 0.01).astype(np.float32)
    with caplog.at_level(logging.WARNING, "antiphon.denoise"):
        plugin = Denoise()
        plugin.settings["mode"] = "gate"
        y = run_processor(plugin, SPEC, (clean + noise)[None], events=[(SPEC.rate // 4, "learn", True)])[0]
    assert "a fixed rule" in caplog.text
    lag = plugin.latency
    made, wanted = y[lag + SPEC.rate :], clean[SPEC.rate : len(y) - lag]
    assert np.isfinite(y).all()
    before = si_sdr(wanted + noise[SPEC.rate : len(y) - lag], wanted)
    assert si_sdr(made, wanted) > before - 1.0
