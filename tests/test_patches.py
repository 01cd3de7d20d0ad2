"""Every built-in patch, rendered: it sounds, no node fails, and nothing goes over full scale."""

import re

import numpy as np
import pytest

from antiphon import resources
from antiphon.block import StreamSpec
from antiphon.commands import NoteOn, Sample, SetParam
from antiphon.graph import OUT, End
from antiphon.offline import process_stream
from antiphon.patch import load
from antiphon.plugins import load as load_plugins
from antiphon.rendering import StageRunner

RATE = 48000
BUILT_IN = sorted(path.stem for path in resources.patches().glob("*.toml"))


@pytest.fixture(scope="module")
def loaded():
    return load_plugins(check=False)


def played(loaded, name, audio, commands=(), block=256):
    patch = load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True)
    runner = StageRunner(patch.graph, loaded.catalog, loaded.make, StreamSpec(RATE, block, 2), patch.tempo, commands)
    out = np.concatenate([part.copy() for part in process_stream([audio], runner)], axis=1)
    assert runner.failures == []
    return out


def phrases(seconds=2.0):
    """Bursts of a chord over a little noise: what a performer would send."""
    t = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)) * 0.12 * (t % 1.0 < 0.4)
    return np.stack([chord, chord]).astype(np.float32) + np.random.default_rng(1).normal(0, 3e-3, (2, len(t))).astype(
        np.float32
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_it_is_for_and_sounds(loaded, name):
    path = resources.patches() / f"{name}.toml"
    assert re.match(r"# [A-Z].+[.]\n", path.read_text()), "a patch begins with when to play it"
    asked = {
        "click": SetParam("click", "fire", True, when=Sample(1000)),
        "keys": NoteOn(60, 0.8, when=Sample(1000), node="keys"),
    }
    commands = [asked[name]] if name in asked else []
    out = played(loaded, name, phrases(), commands)
    assert np.isfinite(out).all()
    assert 0.05 < np.abs(out).max() <= 1.0
    assert any(wire.dest == End(OUT, OUT) for wire in load(path, loaded.catalog, trusted=True).graph.wires)


def test_through_changes_no_bit(loaded):
    audio = phrases()
    np.testing.assert_array_equal(played(loaded, "through", audio), audio)


def test_a_worker_changes_no_bit(loaded):
    audio = phrases()
    np.testing.assert_array_equal(played(loaded, "worker", audio), audio)


def test_click_is_on_its_sample(loaded):
    at = [0, 255, 256, 9999, 50000]
    commands = [SetParam("click", "fire", True, when=Sample(n)) for n in at]
    out = played(loaded, "click", np.zeros((2, 60000), np.float32), commands)
    np.testing.assert_array_equal(np.nonzero(out[0])[0], at)


def test_the_demo_answers_in_its_time(loaded):
    audio = phrases()
    audio[:, RATE // 2 :] = 0.0
    out = played(loaded, "demo", audio)
    call, echo, rest = (np.sqrt(np.mean(out[:, a:b] ** 2)) for a, b in ((4000, 19000), (28000, 43000), (88000, 96000)))
    assert 0.02 * call < echo < 0.7 * call
    assert rest < 0.5 * echo


@pytest.mark.parametrize("block", [64, 256])
def test_a_throw_comes_round_in_time_whatever_the_block(loaded, block):
    audio = np.zeros((2, 2 * RATE), np.float32)
    audio[:, 5000:5032] = 0.5
    commands = [SetParam("send", "gain", 1.0), SetParam("send", "gain", 0.0, when=Sample(12000))]
    out = np.abs(played(loaded, "throw", audio, commands, block)[0])
    # the band-pass rounds an echo off: its middle is found, not its first sample
    centres = [np.average(np.arange(a, a + 12000), weights=out[a : a + 12000] ** 2) for a in (25000, 49000, 73000)]
    np.testing.assert_allclose(np.diff(centres), 24000, atol=60)
