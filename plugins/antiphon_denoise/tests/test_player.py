"""The gate and the wavelets as machine code, at every rate and after a preroll."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.api import IO, BlockTime, StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon_denoise.processor import Denoise
from antiphon_denoise.tests.running import run

RATE = 48000


def prepared(mode: str, latency: str = "normal", rate: int = RATE) -> tuple[Denoise, StreamSpec]:
    processor, spec = Denoise(), StreamSpec(rate, 512, 2)
    processor.settings.update(mode=mode, latency=latency)
    processor.prepare(spec)
    return processor, spec


def noisy(frames: int) -> np.ndarray:
    """Tones that come and go on the left and in the middle, and hiss."""
    t = np.arange(frames) / RATE
    tones = [0.2 * np.sin(2.0 * np.pi * hertz * t) * (np.sin(2.0 * np.pi * 1.3 * t) > 0.0) for hertz in (440, 1710)]
    hiss = 0.01 * np.random.default_rng(3).standard_normal((2, frames))
    return (np.stack([tones[0] + tones[1], tones[0]]) + hiss).astype(np.float32)


@pytest.mark.parametrize(("mode", "latency"), [("gate", "normal"), ("gate", "low"), ("wavelet", "normal")])
def test_after_a_preroll_it_goes_on_with_what_it_knows_and_after_a_reset_is_silent(mode, latency):
    sound = noisy(RATE)
    (processor, spec), fresh = prepared(mode, latency), prepared(mode, latency)
    run(processor, sound[:, :10001], spec)
    processor.rewind()
    known = run(processor, sound, spec)
    assert np.abs(known - run(fresh[0], sound, spec))[:, : RATE // 2].max() > 1e-3
    processor.reset()
    assert not run(processor, np.zeros_like(sound), spec).any()


@pytest.mark.parametrize("rate", [44100, 96000, 144000, 192000])
def test_a_step_is_offered_at_every_rate(rate):
    processor, spec = prepared("gate", rate=rate)
    cells = {p.name: ParamCell(p, spec.rate, spec.block) for p in processor.params}
    sounds = [np.zeros((spec.channels, spec.block), np.float32) for _ in range(2)]
    assert processor.step(IO(sounds[:1], sounds[1:], cells, BlockTime(), spec.block)) is not None
    assert run(processor, noisy(8000), spec).any()
