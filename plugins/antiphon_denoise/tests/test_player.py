"""The gate and the wavelets as machine code give the samples of hops that Python computes, in blocks of any size."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from antiphon.api import IO, BlockTime, StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon_denoise import processor as module
from antiphon_denoise.processor import Denoise
from antiphon_denoise.tests.running import run

RATE = 48000
CHANGES = [
    (3001, "amount", 0.5), (9007, "amount", 1.0), (30000, "learn", True), (30011, "learn", True), (40345, "full", True),
    (60001, "full", False), (60700, "threshold", -30.0), (75001, "threshold", 0.0), (80000, "amount", 0.8),
]  # fmt: skip
SETTINGS = [("gate", "normal"), ("gate", "low"), ("wavelet", "normal")]


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


def block(processor: Denoise, spec: StreamSpec) -> IO:
    cells = {p.name: ParamCell(p, spec.rate, spec.block) for p in processor.params}
    sounds = [np.zeros((spec.channels, spec.block), np.float32) for _ in range(2)]
    return IO(sounds[:1], sounds[1:], cells, BlockTime(), spec.block)


@pytest.fixture
def by_python(monkeypatch: pytest.MonkeyPatch):
    """Leaves the hops of what is prepared from then on to Python."""
    return lambda: monkeypatch.setattr(module, "transforms", lambda grid: False)


@pytest.mark.parametrize(("mode", "latency"), SETTINGS)
def test_samples_are_those_of_hops_in_python(by_python, mode, latency):
    sound = noisy(2 * RATE)
    splits = [(64,), (256,), (1, 63, 511, 7, 300), (512,)]
    played = [run(*with_sound(prepared(mode, latency), sound), CHANGES, cycle(sizes)) for sizes in splits]
    by_python()
    wanted = run(*with_sound(prepared(mode, latency), sound), CHANGES)
    assert all(np.array_equal(one, played[0]) for one in played)
    assert np.abs(played[0] - wanted).max() < 1e-6
    lag = prepared(mode, latency)[0].latency
    assert np.abs(wanted[:, lag:] - sound[:, :-lag]).max() > 0.02


def with_sound(made: tuple[Denoise, StreamSpec], sound: np.ndarray) -> tuple[Denoise, np.ndarray, StreamSpec]:
    return made[0], sound, made[1]


@pytest.mark.parametrize(("mode", "latency"), SETTINGS)
def test_after_a_preroll_it_goes_on_as_python_does(by_python, mode, latency):
    sound, played = noisy(RATE), []
    for _ in range(2):
        processor, spec = prepared(mode, latency)
        run(processor, sound[:, :10001], spec)
        processor.rewind()
        played.append(run(processor, sound, spec))
        processor.reset()
        assert not run(processor, np.zeros_like(sound), spec).any()
        by_python()
    assert np.abs(played[0] - played[1]).max() < 1e-6


def test_a_step_is_offered_for_frames_of_a_power_of_two_and_otherwise_python_plays():
    for rate, offered in ((44100, True), (96000, True), (192000, True), (144000, False)):
        made = prepared("gate", rate=rate)
        assert (made[0].step(block(*made)) is not None) == offered
        assert run(*with_sound(made, noisy(8000))).any()
