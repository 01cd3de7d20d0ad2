"""The card tells the truth about latency."""

from pathlib import Path

from tests.each import each

from antiphon.api import StreamSpec
from antiphon_hum.processor import Hum

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@each("mode", ["learned", "yin", "chords"])
@each("rate", [44100, 48000, 96000])
def test_latency_is_as_stated(mode, rate):
    hum = Hum()
    hum.settings["mode"] = mode
    hum.prepare(StreamSpec(rate, 256, 1))
    hum.close()
    row = next(line for line in CARD.splitlines() if line.startswith(f"| {mode} |"))
    assert f"{hum.latency} ({1000 * hum.latency / rate:.0f} ms)" in row
