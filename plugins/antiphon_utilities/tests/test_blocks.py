"""Whatever the blocks, the same samples: for every utility, with parameters changed on the way."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import StreamSpec
from antiphon.api.testing import run_processor
from antiphon.kernel.runtime.importing import resolve
from antiphon_utilities import antiphon_processors

FACTORIES = {}
antiphon_processors(lambda name, factory, doc="": FACTORIES.__setitem__(name, resolve(factory)))

CHANGES = {
    "gain": [(100, "gain", 0.2), (371, "gain", 1.9)],
    "filter": [(90, "cutoff", 5000.0), (301, "mode", "highpass"), (555, "q", 6.0)],
    "delay": [(50, "time", 0.004), (400, "time", 0.0021), (420, "feedback", 0.9)],
    "pan": [(64, "place", -1.0), (333, "place", 0.7)],
    "mix": [(200, "a", 0.1), (201, "a", 2.0)],
    "meter": [],
    "limiter": [(256, "ceiling", -12.0), (700, "release", 0.02)],
    "click": [(0, "fire", True), (257, "length", 0.005), (257, "fire", True), (300, "fire", True)],
    "tone": [(10, "level", 0.9), (128, "frequency", 3000.0), (511, "kind", "noise"), (800, "kind", "sine")],
    "metronome": [(300, "division", 3), (700, "on", False)],
    "looper": [(5, "pedal", True), (600, "pedal", True), (700, "pedal", True), (900, "undo", True)],
    "tuner": [(100, "reference", 415.0)],
    "lfo": [(77, "rate", 40.0), (300, "shape", "steps"), (600, "depth", 1.0)],
    "follower": [(100, "depth", -1.0), (500, "release", 0.01)],
}
TRIGGERS = {"click": [(3, "fire")], "looper": [(3, "record"), (500, "overdub"), (1100, "play")]}
START = {"delay": {"time": 0.003, "feedback": 0.7}}


def test_every_utility_is_tried():
    assert set(CHANGES) == set(FACTORIES)


@pytest.mark.parametrize("name", sorted(CHANGES))
@given(
    blocks=st.lists(st.integers(1, 256), min_size=1, max_size=9),
    channels=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=12)
def test_any_split_gives_the_same_samples(name, blocks, channels, seed):
    spec = StreamSpec(48000, 256, channels)
    audio = np.random.default_rng(seed).normal(0.0, 0.5, (channels, 1024)).astype(np.float32)
    args = (spec, audio, START.get(name, {}), CHANGES[name])
    whole = run_processor(FACTORIES[name](), *args)
    split = run_processor(FACTORIES[name](), *args, blocks=blocks)
    assert whole.any()
    np.testing.assert_array_equal(split, whole)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_reset_is_a_fresh_start(name):
    spec = StreamSpec(48000, 256, 2)
    audio = np.random.default_rng(5).normal(0.0, 0.9, (2, 1500)).astype(np.float32)
    processor = FACTORIES[name]()
    changes = [(at, trigger, True) for at, trigger in TRIGGERS.get(name, ())]
    fresh = run_processor(FACTORIES[name](), spec, audio, START.get(name), changes)
    run_processor(processor, spec, audio, START.get(name), changes)
    processor.prepare = lambda spec: processor.reset()
    again = run_processor(processor, spec, audio, START.get(name), changes)
    np.testing.assert_array_equal(again, fresh)
