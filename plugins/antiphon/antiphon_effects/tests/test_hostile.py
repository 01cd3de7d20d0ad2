"""Impulse responses nobody would make on purpose: a sentence each; and those that are odd, but sound."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tests.each import each

from antiphon.api import AntiphonError, FileError, StreamSpec
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.plugins.loader import load
from antiphon.testing import run_processor, write
from antiphon_effects.convolution import MAX_SECONDS, Convolution, read_impulse
from antiphon_effects.tests.measure import RATE, SPEC, noise


def broken(value):
    x = noise(0.1)
    x[0, 2000] = value
    return x


def cut(path):
    write(path, noise(0.1))
    path.write_bytes(path.read_bytes()[:30])


TENTH = np.full((1, 8000 * 61), 0.1, np.float32)
"""A minute and a second at 8 kHz."""


@each(
    "make, why",
    [
        (lambda path: write(path, TENTH, 8000), "61 s long; 20 s are allowed: cut it"),
        (lambda path: write(path, TENTH[:, : round(8000 * MAX_SECONDS) + 80], 8000), "20 s are allowed"),
        (lambda path: write(path, np.zeros((1, 4000), np.float32)), "is silent; give"),
        (lambda path: write(path, np.zeros((1, 0), np.float32)), "holds no sound"),
        (lambda path: write(path, broken(np.nan), subtype="FLOAT"), "not a number"),
        (lambda path: write(path, broken(np.inf), subtype="FLOAT"), "not a number"),
        (lambda path: path.write_text("not a sound\n" * 50), "cannot read"),
        (lambda path: path.write_bytes(b""), "cannot read"),
        (cut, "cannot read"),
        (lambda path: path.mkdir(), "cannot read"),
        (os.mkfifo, "cannot read"),
        (lambda path: None, "cannot read"),
    ],
)
def test_what_is_no_impulse_is_refused_with_one_sentence(make, why, tmp_path):
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "impulse.wav"
    make(path)
    processor = Convolution()
    with pytest.raises(FileError, match=why) as refused:
        run_processor(processor, SPEC, np.zeros((2, 256), np.float32), {"impulse": str(path)})
    assert "\n" not in str(refused.value)
    assert "impulse.wav" in str(refused.value)
    processor.close()


def test_the_same_node_plays_after_a_refusal(tmp_path):
    path = tmp_path / "impulse.wav"
    path.write_text("not a sound")
    processor = Convolution()
    with pytest.raises(FileError):
        run_processor(processor, SPEC, noise(), {"impulse": str(path)})
    write(path, noise(0.1))
    assert run_processor(processor, SPEC, noise(), {"impulse": str(path)}).any()


@each("rate", [8000, 44100, 96000])
def test_an_impulse_of_another_rate_keeps_its_time(rate, tmp_path):
    path = tmp_path / "impulse.wav"
    x = np.zeros((1, rate), np.float32)
    x[0, round(0.25 * rate)] = 0.5
    write(path, x, rate)
    response = read_impulse(str(path), SPEC, normalise=False)
    assert response.shape == (2, pytest.approx(RATE, abs=2))
    assert np.argmax(np.abs(response[0])) == pytest.approx(0.25 * RATE, abs=2)


def test_of_many_channels_those_that_are_there_are_taken(tmp_path):
    path = tmp_path / "impulse.wav"
    write(path, noise(0.01, channels=6), subtype="FLOAT")
    response = read_impulse(str(path), StreamSpec(RATE, 256, 2), normalise=False)
    np.testing.assert_allclose(response, noise(0.01, channels=6)[:2], atol=1e-6)
    alone = read_impulse(str(path), StreamSpec(RATE, 256, 1), normalise=False)
    np.testing.assert_allclose(alone[0], noise(0.01, channels=6).mean(axis=0), atol=1e-6)


def test_an_impulse_beyond_full_scale_stays_finite(tmp_path):
    path = tmp_path / "impulse.wav"
    write(path, np.full((1, 100), 1e9, np.float32), subtype="FLOAT")
    for normalise in (True, False):
        y = run_processor(Convolution(), SPEC, noise(), {"impulse": str(path), "normalise": normalise})
        assert np.isfinite(y).all()


def test_a_path_outside_the_library_is_refused_by_its_name():
    loaded, wire = load(check=False), Wire(End("in", "in"), End("room", "in"))
    for name in ("../impulse.wav", "a/../../impulse.wav", "..", "a\nb.wav"):
        graph = Graph((NodeSpec("room", "convolution", {"impulse": name}),), (wire,))
        with pytest.raises(AntiphonError) as refused:
            compile_plan(graph, loaded.catalog, loaded.make, SPEC, {"room": 1})
        assert "\n" not in str(refused.value)
        assert "impulse" in str(refused.value) or name[-2:] in str(refused.value)
