"""The card tells the truth about parameters and latency."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from antiphon.api import StreamSpec
from antiphon.api.backends.models import manifest_entry
from antiphon.api.backends.signal import grid
from antiphon.api.testing import without_workers
from antiphon_denoise.processor import MODELS, Denoise

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


RATES = (44100, 48000, 96000)


def row(modes: str) -> list[str]:
    """The cells of these modes in the table of latencies, a rate each."""
    (line,) = [line for line in CARD.splitlines() if line.startswith(f"| {modes} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def stated(frames: Iterable[int]) -> list[str]:
    return [f"{count} ({1000 * count / rate:.1f} ms)" for count, rate in zip(frames, RATES, strict=True)]


def test_latency_is_as_stated() -> None:
    assert row("gate, wavelet") == stated(grid(rate).lag for rate in RATES)


@pytest.mark.parametrize("mode", list(MODELS))
def test_latency_of_learned_modes_is_as_stated(mode: str) -> None:
    found = []
    for rate in RATES:
        processor = Denoise()
        processor.settings["mode"] = mode
        processor.prepare(StreamSpec(rate, 256, 2))
        found.append(processor.latency)
        assert processor.latency <= 0.020 * rate
        processor.close()
    assert row("learned, autoencoder") == stated(found)


@pytest.mark.parametrize("mode", ["gate", *MODELS])
def test_low_latency_is_as_stated(mode: str) -> None:
    found = []
    with without_workers():
        for rate in RATES:
            processor = Denoise()
            processor.settings.update(mode=mode, latency="low")
            processor.prepare(StreamSpec(rate, 256, 2))
            found.append(processor.latency)
    assert row("learned, autoencoder, gate, `latency=low`") == stated(found)


def test_parameters_are_counted() -> None:
    for name in ("denoise-confidence", "denoise-mask", "denoise-autoencoder", "denoise-gate"):
        assert f"{manifest_entry(name)['parameters']:,}" in CARD
