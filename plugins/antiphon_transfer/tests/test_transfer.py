"""Transfer as the host runs it: rendered and measured, on sounds made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.api import FileError, StreamSpec
from antiphon.api.testing import run_processor
from antiphon_models.transfer.measures import measure
from antiphon_transfer.processor import MODES, Transfer
from antiphon_transfer.stream import grid

RATE = 44100
CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def notes(seed: int, slope: float, decay: float, seconds: float = 4.0, hiss: float = 1e-5):
    """Chords of an instrument: its harmonics fall by a power `slope`, its notes by `decay` a second."""
    rng = np.random.default_rng(seed)
    out = hiss * rng.standard_normal(int(RATE * seconds))
    t = np.arange(RATE) / RATE
    for n in range(int(seconds * 3) - 1):
        for number in rng.choice([48, 52, 55, 59, 60, 62, 64, 67, 71, 72], 2, replace=False):
            hertz = 440.0 * 2 ** ((number - 69) / 12)
            note = sum(np.sin(2 * np.pi * hertz * h * t + h * h) / h**slope for h in range(1, 16))
            note = note * np.exp(-t * decay) * np.minimum(1, t * 150) * np.minimum(1, (1 - t) * 20)
            at = n * RATE // 3
            piece = note[: len(out) - at]
            out[at : at + len(piece)] += piece
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


SOURCE, TARGET, REFERENCE = notes(1, 2.5, 1.0), notes(1, 0.6, 5.0, hiss=1e-4), notes(2, 0.6, 5.0, hiss=1e-4)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("transfer") / "reference.wav"
    soundfile.write(path, REFERENCE, RATE, "FLOAT")
    return str(path)


def through(sound, path, mode="envelope", blocks=None, changes=(), **first):
    """The sound through a fresh transfer, latency taken out, same length."""
    sound = np.atleast_2d(sound)
    processor, spec = Transfer(), StreamSpec(RATE, 512, sound.shape[0])
    padded = np.concatenate([sound, np.zeros((sound.shape[0], grid(RATE).size), np.float32)], axis=1)
    values = {"mode": mode, "reference": path, **first}
    return run_processor(processor, spec, padded, values, changes, blocks)[:, processor.latency :]


def again(processor, spec, sound, **more):
    """Through a processor that is prepared already, without another `prepare`."""
    prepare, processor.prepare = processor.prepare, lambda spec: None
    try:
        return run_processor(processor, spec, sound, **more)
    finally:
        processor.prepare = prepare


@pytest.mark.parametrize(
    ("mode", "lsd", "timbre", "onsets", "pitch"),
    [("envelope", 0.7, 0.7, 0.88, 0.6), ("nmf", 0.8, 0.75, 0.88, 0.6), ("wavelet", 1.0, 0.7, 0.88, 0.6)],
)
def test_it_goes_towards_the_other_instrument_and_the_notes_stay(reference, mode, lsd, timbre, onsets, pitch):
    before = measure(SOURCE, SOURCE, TARGET, REFERENCE, RATE)
    after = measure(through(SOURCE, reference, mode)[0], SOURCE, TARGET, REFERENCE, RATE)
    assert after["lsd"] <= lsd * before["lsd"]
    assert after["timbre"] <= timbre * before["timbre"]
    assert after["onsets"] >= onsets
    assert after["pitch"] >= pitch


@pytest.mark.parametrize("mode", MODES)
def test_any_blocks_give_the_same_samples(reference, mode):
    sound = np.stack([SOURCE[:9000], SOURCE[300:9300]])
    changes = [(3000, "amount", 0.3), (5001, "amount", 1.0)]
    processor, spec = Transfer(), StreamSpec(RATE, 512, 2)
    whole = run_processor(processor, spec, sound, {"mode": mode, "reference": reference}, changes)

    @settings(max_examples=10)
    @given(blocks=st.lists(st.integers(1, 512), min_size=1, max_size=6))
    def split(blocks):
        processor.reset()
        made = again(processor, spec, sound, events=changes, blocks=[*blocks, 400])
        np.testing.assert_array_equal(made, whole)

    split()


@pytest.mark.parametrize("mode", MODES)
def test_amount_0_gives_the_input_back(reference, mode):
    out = through(SOURCE[:20000], reference, mode, amount=0.0)[0]
    np.testing.assert_allclose(out[:20000], SOURCE[:20000], atol=2e-5)


def test_without_a_reference_the_input_passes_to_the_bit():
    np.testing.assert_array_equal(through(SOURCE[:20000], "")[0], SOURCE[:20000])


@pytest.mark.parametrize("mode", MODES)
def test_silence_stays_silent_and_reset_forgets(reference, mode):
    processor, spec = Transfer(), StreamSpec(RATE, 512, 1)
    values = {"mode": mode, "reference": reference}
    first = run_processor(processor, spec, SOURCE[None, :12000], values)
    processor.reset()
    assert not again(processor, spec, np.zeros((1, 12000), np.float32)).any()
    processor.reset()
    np.testing.assert_array_equal(again(processor, spec, SOURCE[None, :12000]), first)


@pytest.mark.parametrize("mode", MODES)
def test_both_channels_get_one_gain(reference, mode):
    out = through(np.stack([SOURCE[:20000], 0.25 * SOURCE[:20000]]), reference, mode)
    np.testing.assert_allclose(out[1], 0.25 * out[0], atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_loud_and_odd_input_stays_finite_and_bounded(reference, mode):
    rng = np.random.default_rng(3)
    click = np.zeros(4000, np.float32)
    click[1000] = 1.0
    hiss = rng.standard_normal(8000).astype(np.float32)
    out = through(np.concatenate([1e-6 * hiss, click, hiss, np.ones(4000, np.float32)]), reference, mode)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 8.0


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (np.zeros(RATE, np.float32), "is silent"),
        (np.full(100, 0.5, np.float32), "ms long"),
        (np.zeros(0, np.float32), "ms long"),
        (np.full(RATE, np.nan, np.float32), "not a number"),
    ],
)
def test_a_useless_reference_is_refused_in_one_sentence(tmp_path, made, said):
    path = tmp_path / "odd.wav"
    soundfile.write(path, made, RATE, "FLOAT")
    with pytest.raises(FileError, match=said) as refused:
        through(SOURCE[:1000], str(path))
    assert "\n" not in str(refused.value)


def test_what_is_no_sound_or_not_there_is_refused(tmp_path):
    path = tmp_path / "text.wav"
    path.write_text("no sound")
    for wrong in (path, tmp_path / "missing.wav"):
        with pytest.raises(FileError):
            through(SOURCE[:1000], str(wrong))


@pytest.mark.parametrize("mode", MODES)
def test_the_shortest_reference_works(tmp_path, mode):
    path = tmp_path / "short.wav"
    soundfile.write(path, REFERENCE[5000 : 5000 + grid(RATE).size], RATE, "FLOAT")
    assert np.isfinite(through(SOURCE[:20000], str(path), mode)).all()


def test_latency_is_what_is_declared(reference):
    click = np.zeros((1, 12000), np.float32)
    click[0, 5000] = 0.5
    for rate in (16000, 44100, 48000, 96000):
        processor = Transfer()
        out = run_processor(processor, StreamSpec(rate, 256, 1), click, {"reference": reference, "amount": 0.0})
        assert int(np.abs(out[0]).argmax()) == 5000 + processor.latency
        if rate > 16000:
            assert f"{processor.latency} frames at {rate / 1000:g} kHz" in CARD


def test_every_parameter_is_on_the_card():
    for param in Transfer.params:
        row = next((line for line in CARD.splitlines() if line.startswith(f"| `{param.name}` |")), None)
        assert row is not None, param.name
        assert param.doc in row
        assert param.allowed in row
