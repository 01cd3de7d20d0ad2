"""Transfer as the host runs it: rendered and measured, on sounds made here."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import StreamSpec
from antiphon.testing import run_processor
from antiphon_models.learning.user_commands import command
from antiphon_models.transfer.timbre_evaluation import (
    log_spectral_distance,
    magnitudes,
    normalise_for_measurement,
    onset_likeness,
    timbre_distance,
)
from antiphon_transfer.processor import Transfer
from antiphon_transfer.stream import CEILING, PeakLimiter, grid

RATE = 44100
MODES = ("envelope", "wavelet")
CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@cache
def tone(number: int, slope: float) -> np.ndarray:
    """A second of a note, by its MIDI number: its harmonics fall by a power `slope`."""
    t, hertz = np.arange(RATE) / RATE, 440.0 * 2 ** ((number - 69) / 12)
    return sum(np.sin(2 * np.pi * hertz * h * t + h * h) / h**slope for h in range(1, 16))


def notes(seed: int, slope: float, decay: float, seconds: float = 4.0, hiss: float = 1e-5):
    """Chords of an instrument: its harmonics fall by a power `slope`, its notes by `decay` a second."""
    rng = np.random.default_rng(seed)
    out = hiss * rng.standard_normal(int(RATE * seconds))
    t = np.arange(RATE) / RATE
    for n in range(int(seconds * 3) - 1):
        for number in rng.choice([48, 52, 55, 59, 60, 62, 64, 67, 71, 72], 2, replace=False):
            note = tone(number, slope) * np.exp(-t * decay) * np.minimum(1, t * 150) * np.minimum(1, (1 - t) * 20)
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


def pitches(sound):
    """MIDI numbers 36 to 96 that sound in frames `[frames, 61]`: peaks of the sum of their harmonics."""
    levels = np.sqrt(magnitudes(sound, 8192, 1024))
    numbers = 12 * np.log2(np.maximum(np.arange(levels.shape[1]), 1) * 22050 / 8192 / 440.0) + 69
    away = np.abs(numbers - np.arange(36, 97)[:, None] - 12 * np.log2(np.arange(1, 9))[:, None, None])
    salience = levels @ (0.8 ** np.arange(8)[:, None, None] * np.maximum(0.0, 1.0 - 2.0 * away)).sum(axis=0).T
    beside = np.pad(salience, ((0, 0), (1, 1)))
    loud = salience.max(axis=1, keepdims=True)
    peak = (salience >= beside[:, :-2]) & (salience > beside[:, 2:])
    return peak & (salience > 0.3 * loud) & (loud > 0.02 * loud.max())


def through(sound, path, mode="envelope", blocks=None, changes=(), **first):
    """The sound through a fresh transfer, latency taken out, same length."""
    sound = np.atleast_2d(sound)
    processor, spec = Transfer(), StreamSpec(RATE, 512, sound.shape[0])
    padded = np.concatenate([sound, np.zeros((sound.shape[0], grid(RATE).size), np.float32)], axis=1)
    values = {"mode": mode, "reference": path, **first}
    return run_processor(processor, spec, padded, values, changes, blocks)[:, processor.latency :]


def test_it_goes_towards_the_other_instrument_and_the_notes_stay(reference):
    source, target, other = (normalise_for_measurement(x, RATE) for x in (SOURCE, TARGET, REFERENCE))
    for mode, lsd in (("envelope", 0.7), ("wavelet", 1.0)):
        after = normalise_for_measurement(through(SOURCE, reference, mode)[0], RATE)
        assert log_spectral_distance(after, target) <= lsd * log_spectral_distance(source, target)
        assert timbre_distance(after, other) <= 0.7 * timbre_distance(source, other)
        assert onset_likeness(after, source) >= 0.88
        assert (pitches(after) & pitches(source)).sum() >= 0.6 * (pitches(after) | pitches(source)).sum()


@each("mode", MODES)
def test_amount_0_gives_the_input_back(reference, mode):
    out = through(SOURCE[:20000], reference, mode, amount=0.0)[0]
    np.testing.assert_allclose(out[:20000], SOURCE[:20000], atol=2e-5)


def test_without_a_reference_the_input_passes_to_the_bit():
    np.testing.assert_array_equal(through(SOURCE[:20000], "")[0], SOURCE[:20000])


@pytest.mark.parametrize("mode", MODES)
def test_silence_stays_silent(reference, mode):
    assert not through(np.zeros(12000, np.float32), reference, mode).any()


@each("mode", MODES)
def test_both_channels_get_one_gain(reference, mode):
    out = through(np.stack([SOURCE[:20000], 0.25 * SOURCE[:20000]]), reference, mode)
    np.testing.assert_allclose(out[1], 0.25 * out[0], atol=1e-5)


@each("mode", MODES)
def test_loud_and_odd_input_stays_finite_and_bounded(reference, mode):
    rng = np.random.default_rng(3)
    click = np.zeros(4000, np.float32)
    click[1000] = 1.0
    hiss = rng.standard_normal(8000).astype(np.float32)
    out = through(np.concatenate([1e-6 * hiss, click, hiss, np.ones(4000, np.float32)]), reference, mode)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 8.0


@each("mode", MODES)
def test_the_shortest_reference_works(tmp_path, mode):
    path = tmp_path / "short.wav"
    soundfile.write(path, REFERENCE[5000 : 5000 + grid(RATE).size], RATE, "FLOAT")
    assert np.isfinite(through(SOURCE[:20000], str(path), mode)).all()


def struck(seconds: float = 4.0, dull: float = 2.0) -> np.ndarray:
    """A held low chord, into which hits of bright noise fall after `dull` seconds."""
    t = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * h * t) / h**2 for hertz in (110.0, 164.8, 220.0) for h in range(1, 20))
    hits = np.random.default_rng(4).standard_normal(len(t)) * np.exp(-(t % 0.5) * 60) * (t >= dull)
    return (0.08 * chord + 0.15 * hits).astype(np.float32)


def sibilant(seconds: float = 6.0) -> np.ndarray:
    """A voice: a buzz that alternates with bursts of bright noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 180.0 * h * t) / h**1.5 for h in range(1, 20)) * ((t % 0.6) < 0.45)
    noise = np.diff(np.random.default_rng(6).standard_normal(len(t) + 1)) * ((t % 0.6) >= 0.5)
    return (0.2 * buzz + 0.1 * noise).astype(np.float32)


def above(sound: np.ndarray, hertz: float = 9000.0) -> float:
    """dB of the loudest 20 ms above a frequency."""
    size = RATE // 50
    pieces = sound[: len(sound) // size * size].reshape(-1, size) * np.hanning(size)
    power = (np.abs(np.fft.rfft(pieces, axis=1)) ** 2)[:, np.fft.rfftfreq(size, 1 / RATE) > hertz].sum(axis=1)
    return 10.0 * float(np.log10(power.max() + 1e-12))


def test_attacks_do_not_burst(tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, sibilant(), RATE, "FLOAT")
    sound = struck()
    made = through(sound, str(path))[0]
    assert above(made) < above(sound) + 6.0


@each("mode", MODES)
@each("loud", [0.03, 1.0])
def test_the_level_is_the_inputs_and_nothing_clips(tmp_path, mode, loud):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.clip(3.0 * REFERENCE, -1.0, 1.0), RATE, "FLOAT")
    sound = SOURCE * np.float32(loud / np.abs(SOURCE).max())
    made = through(sound, str(path), mode)[0]
    assert np.abs(made).max() <= 1.0
    assert 20 * np.log10(made.std() / sound.std()) == pytest.approx(0.0, abs=2.0)


def test_a_peak_is_turned_down_before_it_comes():
    sizes = grid(RATE)
    limiter = PeakLimiter(sizes, 1)
    t = np.arange(6 * sizes.size)
    wave = (0.5 + 1.5 * ((t > 5000) & (t < 5400))) * np.sin(0.05 * t)
    made = []
    for at in range(0, len(wave) - sizes.size, sizes.hop):
        output = wave[None, at : at + sizes.size].astype(np.float32)
        limiter.apply(output, np.zeros_like(output))
        made.append(output[0, : sizes.hop])
    out = np.concatenate(made)
    assert 0.9 < np.abs(out).max() <= CEILING + 1e-6
    np.testing.assert_array_equal(out[: 5000 - sizes.hop], wave[: 5000 - sizes.hop].astype(np.float32))
    gain = out / np.where(np.abs(wave[: len(out)]) > 0.05, wave[: len(out)], np.nan)
    assert np.nanmax(np.abs(np.diff(gain))) < 3.0 / sizes.hop
    np.testing.assert_array_equal(out[9000:], wave[9000 : len(out)].astype(np.float32))


def test_latency_is_what_is_declared(reference):
    click = np.zeros((1, 12000), np.float32)
    click[0, 5000] = 0.5
    for rate in (16000, 44100, 48000, 96000):
        processor = Transfer()
        out = run_processor(processor, StreamSpec(rate, 256, 1), click, {"reference": reference, "amount": 0.0})
        assert int(np.abs(out[0]).argmax()) == 5000 + processor.latency
        if rate > 16000:
            assert f"{processor.latency} frames at {rate / 1000:g} kHz" in CARD


def test_of_a_file_one_stem_is_changed_and_the_others_stay(tmp_path, reference):
    drums = 0.4 * np.random.default_rng(5).standard_normal(RATE) * np.exp(-((np.arange(RATE) % (RATE // 4)) / 400.0))
    soundfile.write(tmp_path / "in.wav", SOURCE[:RATE] + drums, RATE, "FLOAT")

    def run(plugin, source, out, *options):
        command("run", plugin, tmp_path / source, tmp_path / out, *options)
        return soundfile.read(tmp_path / out, dtype="float32")[0]

    part, rest = (run("stems", "in.wav", f"{how}.wav", f"--{how}", "drums") for how in ("only", "without"))
    changed = run("transfer", "only.wav", "changed.wav", "-p", f"reference={reference}")
    made = run("transfer", "in.wav", "out.wav", "-p", f"reference={reference}", "-p", "stem=drums")
    np.testing.assert_allclose(made, changed + rest, atol=1e-5)
    assert np.abs(changed - part).max() > 0.01
    soundfile.write(tmp_path / "short.wav", 0.5 * SOURCE[: RATE // 4], RATE, "PCM_16")
    run("transfer", "short.wav", "16.wav", "-p", f"reference={reference}", "-p", "stem=drums")
    assert soundfile.info(tmp_path / "16.wav").subtype == "PCM_16"
