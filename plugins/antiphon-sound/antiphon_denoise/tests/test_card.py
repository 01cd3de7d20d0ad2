"""The card tells the truth about parameters and latency."""

from collections.abc import Iterable
from pathlib import Path

from tests.each import each

from antiphon.api.backends.models import manifest_entry
from antiphon_denoise.processor import MODELS
from antiphon_denoise.tests.running import prepared

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
RATES = (44100, 48000, 96000)


def row(modes: str) -> list[str]:
    """The cells of these modes in the table of latencies, a rate each."""
    (line,) = [line for line in CARD.splitlines() if line.startswith(f"| {modes} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def stated(frames: Iterable[int]) -> list[str]:
    return [f"{count} ({1000 * count / rate:.1f} ms)" for count, rate in zip(frames, RATES, strict=True)]


@each(
    "modes, latency, named",
    [
        (("gate", "wavelet"), "normal", "gate, wavelet"),
        (tuple(MODELS), "normal", "learned, autoencoder"),
        (("gate", *MODELS), "low", "learned, autoencoder, gate, `latency=low`"),
    ],
)
def test_latency_is_as_stated(modes: tuple[str, ...], latency: str, named: str) -> None:
    for mode in modes:
        found = []
        for rate in RATES:
            processor, _ = prepared(mode, rate, 256, 2, latency)
            found.append(processor.latency)
            processor.close()
        assert row(named) == stated(found), mode


def test_parameters_are_counted() -> None:
    for name in ("denoise-confidence", "denoise-mask", "denoise-autoencoder", "denoise-gate", "denoise-deepfilter"):
        assert f"{manifest_entry(name)['parameters']:,}" in CARD
