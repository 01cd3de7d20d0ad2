"""What these tests share: a clock, and sounds and their levels, `[channels, frames]`."""

import numpy as np
import pytest

from antiphon.api import BlockTime, StreamSpec
from antiphon.api.backends.rendering import load_plugins
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.patch import parse

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


def sine(hertz, frames=RATE // 2, level=0.5, channels=2):
    one = level * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE)
    return np.tile(one, (channels, 1)).astype(np.float32)


def noise(frames=RATE // 2, level=0.3, channels=2, seed=1):
    return np.random.default_rng(seed).normal(0, level, (channels, frames)).astype(np.float32)


def steepest(x):
    return np.abs(np.diff(x)).max()


def _on_clock(processor, bpm=120.0, changes=(), rate=48000):
    """The processor, told the beat and tempo by a tempo map. changes: (sample, what is done to the map)."""
    tempo = TempoMap(rate, bpm, end_bpm=bpm)
    waiting = sorted(changes, key=lambda change: change[0])
    inner = processor.process

    def process(io):
        while waiting and waiting[0][0] <= io.time.sample:
            waiting.pop(0)[1](tempo)
        io.time.beat, io.time.tempo = tempo.beat_at(io.time.sample), tempo.tempo_at(io.time.sample)
        io.time.playing = tempo.playing
        return inner(io)

    processor.process = process
    return processor


@pytest.fixture
def on_clock():
    return _on_clock


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    return load_plugins(tmp_path_factory.mktemp("none"), check=False)


def play(plugins, text, x, rate=RATE):
    """The patch's output for x `[2, frames]`, at 120 bpm from beat 0."""
    graph = parse('format = 1\nname = "Try"\n' + text, plugins.catalog).graph
    ids = {node.name: n for n, node in enumerate(graph.nodes, 1)}
    plan = compile_plan(graph, plugins.catalog, plugins.make, StreamSpec(rate, 256, 2), ids)
    out = []
    for at in range(0, x.shape[1], 256):
        plan.input[:] = x[:, at : at + 256]
        out.append(plan.run(256, BlockTime(sample=at, beat=at / 24000)).copy())
    return np.concatenate(out, axis=1)
