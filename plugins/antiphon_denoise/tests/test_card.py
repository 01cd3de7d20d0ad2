"""The card tells the truth about parameters and latency."""

from __future__ import annotations

from pathlib import Path

from antiphon_denoise.processor import Denoise
from antiphon_denoise.spectrum import grid

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_parameter_is_in_the_table():
    for param in Denoise.params:
        row = next((line for line in CARD.splitlines() if line.startswith(f"| `{param.name}` |")), None)
        assert row is not None, param.name
        assert param.doc in row
        assert param.allowed in row


def test_latency_is_as_stated():
    for rate in (44100, 48000, 96000):
        assert f"{grid(rate).lag} frames at {rate / 1000:g} kHz" in CARD
