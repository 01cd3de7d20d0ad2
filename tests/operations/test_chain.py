"""`antiphon.Chain` and `antiphon.Stream`: the samples of a render, whatever the lengths of the blocks."""

import gc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from tests.cli.conftest import Command
from tests.operations.test_python import THROUGH

import antiphon
from antiphon.kernel.errors import PluginError
from antiphon.operations.chain import MAX_TRIES
from antiphon.testing import sound as audio
from antiphon_model.tests import exports

RATE = 48000
SOUND = np.vstack([audio.sine(220.0, 0.5, RATE, -20.0), audio.sine(331.0, 0.5, RATE, -22.0)])
STEPS = (("gain", {"gain": 0.5}), ("filter", {"cutoff": 900.0}), "compressor", ("delay", {"time": 0.05}))
PATCH = """format = 1
name = "row"
[nodes.gain]
gain = 0.5
[nodes.filter]
cutoff = 900.0
[nodes.compressor]
[nodes.delay]
time = 0.05
[wires]
"in" = "gain"
"gain" = "filter"
"filter" = "compressor"
"compressor" = "delay"
"delay" = "out"
"""


def split(chain: antiphon.Chain, lengths: list[int], sound: NDArray[np.float32] = SOUND) -> NDArray[np.float32]:
    """What a chain makes of a sound in blocks of these lengths, the last one again and again."""
    made, at, lengths = [], 0, list(lengths)
    while at < sound.shape[1]:
        length = lengths.pop(0) if len(lengths) > 1 else lengths[0]
        made.append(chain.process(sound[:, at : at + length]))
        at += length
    return np.concatenate(made, axis=1)


def test_a_chain_is_a_patch_of_the_same_nodes(antiphon_typed: Command, tmp_path: Path) -> None:
    (tmp_path / "row.toml").write_text(PATCH)
    soundfile.write(tmp_path / "in.wav", SOUND.T, RATE, "FLOAT")
    done = antiphon_typed("render", "row.toml", "--in", "in.wav", "--out", "out.wav", "--seconds", "0.5", "--fade", "0")
    assert done.code == 0, done.err
    rendered = soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(antiphon.Chain(*STEPS, rate=RATE, channels=2)(SOUND), rendered)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6).filter(lambda lengths: lengths[-1] > 40))
@settings(max_examples=12, deadline=None)
def test_lengths_of_blocks_change_no_sample(lengths: list[int]) -> None:
    whole = split(antiphon.Chain(*STEPS, rate=RATE, channels=2), [256])
    np.testing.assert_allclose(split(antiphon.Chain(*STEPS, rate=RATE, channels=2), lengths), whole, atol=1e-6)


@pytest.mark.parametrize("name", [info.type for info in THROUGH])
def test_every_effect_streams_as_it_runs(name: str) -> None:
    with antiphon.Chain(name, rate=RATE, channels=2) as chain:
        streamed = chain.process(np.concatenate([SOUND, np.zeros((2, chain.latency), np.float32)], axis=1))
    ran = antiphon.run(name, SOUND, RATE, tail=0.0, fade=0.0, **({"causal": True} if name == "denoise" else {})).sound
    if not np.array_equal(ran, SOUND):  # what the command leaves as it is after a look at the whole
        np.testing.assert_allclose(streamed[:, chain.latency :], ran[:, : SOUND.shape[1]], atol=1e-5)


def test_a_value_changes_smoothly_and_can_be_read() -> None:
    chain = antiphon.Chain("gain", rate=RATE, channels=1)
    steady = np.ones(480, np.float32)
    assert chain["gain"].gain == 1.0
    chain.process(steady)
    chain["gain"].gain = 0.0
    assert chain["gain"].gain == 0.0
    assert np.abs(np.diff(chain.process(steady))).max() < 0.05
    assert "gain" in dir(chain["gain"])
    chain.process(np.ones(RATE // 10, np.float32))
    np.testing.assert_array_equal(chain.process(steady), 0.0)


def test_after_reset_a_chain_is_as_new() -> None:
    chain = antiphon.Chain("reverb", "delay", rate=RATE, channels=2)
    first = chain.process(SOUND)
    chain.reset()
    np.testing.assert_array_equal(chain.process(SOUND), first)


@pytest.mark.parametrize("first", [32, 480, 2048])
def test_latency_before_the_first_block_holds(first: int) -> None:
    with antiphon.Chain(("denoise", {"latency": "low"}), rate=RATE, channels=2) as chain:
        late, made = chain.latency, split(chain, [first])
        assert chain.latency == late
    with antiphon.Chain(("denoise", {"latency": "low"}), rate=RATE, channels=2) as chain:
        np.testing.assert_array_equal(made, split(chain, [256]))


def test_a_chain_that_failed_tries_again_a_few_times() -> None:
    loud, quiet = np.full((1, 4800), 3e38, np.float32), np.full((1, 48000), 0.1, np.float32)
    with antiphon.Chain(("gain", {"gain": 2.0}), rate=RATE) as chain:
        for _ in range(MAX_TRIES):
            with pytest.raises(PluginError, match="gain failed"):
                chain.process(loud)
            assert chain.process(quiet)[0, -1] == pytest.approx(0.2)
        with pytest.raises(PluginError, match="gain failed"):
            chain.process(loud)
        assert chain.process(quiet)[0, -1] == pytest.approx(0.1)


def test_after_reset_the_beat_begins_anew() -> None:
    with antiphon.Chain(("tremolo", {"beats": 0.75}), rate=RATE, channels=2) as chain:
        first = split(chain, [256])
        chain.reset()
        np.testing.assert_array_equal(split(chain, [256]), first)


def test_a_choice_that_is_set_is_that_of_a_chain_made_with_it() -> None:
    with (
        antiphon.Chain("filter", rate=RATE, channels=2) as chain,
        antiphon.Chain(("filter", {"mode": "highpass"}), rate=RATE, channels=2) as made,
    ):
        chain["filter"].mode = "highpass"
        late, asked = split(chain, [256]), split(made, [256])
    # where the mode changes within a stream, it is a fade
    np.testing.assert_allclose(late[:, RATE // 4 :], asked[:, RATE // 4 :], atol=1e-5)


def test_a_block_with_nan_is_refused_and_the_stream_goes_on() -> None:
    chain, other = (antiphon.Chain("reverb", "delay", rate=RATE, channels=2) for _ in range(2))
    for first in range(0, 4800, 480):
        block = SOUND[:, first : first + 480]
        for wrong in (np.where(block == block[0, 7], np.nan, block), np.full((2, 33), np.inf)):
            with pytest.raises(antiphon.AntiphonError, match=r"the block holds NaN or infinity; .*nan_to_num"):
                chain.process(wrong)
        np.testing.assert_array_equal(chain.process(block), other.process(block))
    assert np.isfinite(chain.process(np.full((2, 480), 1e30, np.float32))).all()


def test_a_stream_gives_the_notes_of_a_voice() -> None:
    rests = np.zeros((1, RATE // 4), np.float32)
    sung = [sum(audio.sine(hertz * n, 0.5, RATE, -16.0 - 4.0 * n) for n in range(1, 5)) for hertz in (220.0, 330.0)]
    sound = np.concatenate([rests, sung[0], rests, sung[1], rests], axis=1)
    notes = antiphon.Stream("hum", RATE, mode="yin")(sound[0])
    assert [note.pitch for note in notes] == [57, 64]
    for note, start in zip(notes, (0.25, 1.0), strict=True):
        assert note.start == pytest.approx(start, abs=0.1)
        assert note.end == pytest.approx(start + 0.5, abs=0.15)


def test_a_file_of_onnx_is_a_step_of_a_chain(tmp_path: Path) -> None:
    exports.needs_onnx()
    path = exports.known(exports.saved(tmp_path / "half.onnx", exports.onnx_gain(0.5, 480)))
    with antiphon.Chain("gain", antiphon.Model(path, hop=480), rate=RATE, channels=2) as chain:
        made = split(chain, [256, 1, 700])
        chain.reset()
        again = chain(SOUND)
    late = chain.latency
    assert late >= 480
    np.testing.assert_allclose(made[:, late:], 0.5 * SOUND[:, :-late], atol=1e-6)
    np.testing.assert_allclose(again, 0.5 * SOUND, atol=1e-6)


def test_a_module_of_torch_is_a_step_of_a_chain() -> None:
    torch = pytest.importorskip("torch")
    turned = torch.nn.Conv1d(2, 2, 1, bias=False)
    with torch.no_grad():
        turned.weight[:] = torch.tensor([[0.0, 0.5], [0.25, 0.0]])[:, :, None]
    model = antiphon.Model(turned, hop=512, channels=2)
    with antiphon.Chain(model, rate=RATE, channels=2) as chain:
        made = chain(SOUND)
    np.testing.assert_allclose(made, np.vstack([0.5 * SOUND[1], 0.25 * SOUND[0]]), atol=1e-6)
    file = Path(model.params["file"])
    assert file.exists()
    del model, chain
    gc.collect()
    assert not file.exists()
    assert turned.training


def test_each_call_of_a_model_begins_anew() -> None:
    torch = pytest.importorskip("torch")

    class Count(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Adds the number of its hop."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", torch.zeros(1))

        def forward(self, x):  # type: ignore[no-untyped-def]
            y = x * 0 + self.n
            self.n = self.n + 1.0
            return y

    with antiphon.Chain(antiphon.Model(Count(), hop=512), rate=RATE) as chain:
        first, second = (chain(np.ones(4800, np.float32)) for _ in range(2))
    assert np.flatnonzero(np.diff(first)).tolist() == list(range(511, 4799, 512))
    np.testing.assert_array_equal(first, second)


def test_a_closed_chain_plays_nothing() -> None:
    chain = antiphon.Chain("gain", rate=RATE)
    block = np.zeros((1, 64), np.float32)
    assert chain.process(block).shape == (1, 64)
    assert "1 channel, 0 frames late" in repr(chain)
    chain.close()
    chain.close()
    for late in (block, block[:, :7], block[0]):
        with pytest.raises(antiphon.AntiphonError, match="this chain is closed"):
            chain.process(late)
