"""The card tells the truth about parameters and latency."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.api import StreamSpec
from antiphon.api.models import manifest_entry
from antiphon.api.spectra import grid
from antiphon.api.testing import without_workers
from antiphon_denoise.processor import MODELS, Denoise

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_parameter_is_in_the_table() -> None:
    for param in Denoise.params:
        row = next((line for line in CARD.splitlines() if line.startswith(f"| `{param.name}` |")), None)
        assert row is not None, param.name
        assert param.doc in row
        assert param.allowed in row


def test_latency_is_as_stated() -> None:
    for rate in (44100, 48000, 96000):
        assert f"{grid(rate).lag} frames at {rate / 1000:g} kHz" in CARD


@pytest.mark.parametrize("mode", list(MODELS))
def test_latency_of_learned_modes_is_as_stated(mode: str) -> None:
    for rate in (44100, 48000, 96000):
        processor = Denoise()
        processor.settings["mode"] = mode
        processor.prepare(StreamSpec(rate, 256, 2))
        assert f"{processor.latency} frames at {rate / 1000:g} kHz" in CARD
        assert processor.latency <= 0.020 * rate
        processor.close()


@pytest.mark.parametrize("mode", ["gate", *MODELS])
def test_low_latency_is_as_stated(mode: str) -> None:
    with without_workers():
        for rate in (44100, 48000, 96000):
            processor = Denoise()
            processor.settings.update(mode=mode, latency="low")
            processor.prepare(StreamSpec(rate, 256, 2))
            row = f"| {processor.latency} frames at {rate / 1000:g} kHz ({1000 * processor.latency / rate:.1f} ms)"
            assert row in CARD


def test_parameters_are_counted() -> None:
    for name in ("denoise-confidence", "denoise-mask", "denoise-autoencoder", "denoise-gate"):
        assert f"{manifest_entry(name)['parameters']:,}" in CARD
