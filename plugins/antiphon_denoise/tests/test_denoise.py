"""The denoiser as the host runs it: sound in, sound out, measured."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import StreamSpec
from antiphon_denoise.processor import Denoise
from antiphon_denoise.tests import sounds
from antiphon_denoise.tests.running import run
from antiphon_models.denoise.sdr import si_sdr

RATE = 48000
MODES = ("gate", "wavelet")


def prepared(rate: int = RATE, block: int = 512, channels: int = 1, mode: str = "gate") -> tuple[Denoise, StreamSpec]:
    processor, spec = Denoise(), StreamSpec(rate, block, channels)
    processor.settings["mode"] = mode
    processor.prepare(spec)
    return processor, spec


def through(sound, rate=RATE, changes=(), blocks=(), mode="gate", **first):
    """The sound through a fresh denoiser, latency taken out, same length."""
    processor, spec = prepared(rate, channels=sound.shape[0], mode=mode)
    lag = processor.latency
    padded = np.concatenate([sound, np.zeros((sound.shape[0], lag), np.float32)], axis=1)
    return run(processor, padded, spec, changes, blocks, first)[:, lag:]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_with_nothing_taken_away_the_input_comes_back_after_the_latency(mode, rate):
    sound = sounds.white(rate // 2, 0.2, channels=2)
    error = through(sound, rate, amount=0.0, mode=mode) - sound
    assert sounds.decibels(np.abs(error).max() / 0.2) < -100


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_latency_is_what_an_impulse_takes_and_at_most_32_ms(mode, rate):
    processor, spec = prepared(rate, mode=mode)
    sound = np.zeros((1, rate // 2), np.float32)
    sound[0, 5000] = 1.0
    out = run(processor, sound, spec, first={"amount": 0.0})
    assert int(np.abs(out[0]).argmax()) - 5000 == processor.latency
    assert processor.latency <= 0.032 * rate


@settings(max_examples=12)
@given(sizes=st.lists(st.integers(1, 512), min_size=1, max_size=60), mode=st.sampled_from(MODES))
def test_any_block_split_gives_the_same_samples(sizes, mode):
    sound = sounds.melody(RATE, 0.5)[None] + sounds.white(RATE // 2, 0.02)
    changes = [(3001, "amount", 0.5), (9007, "learn", True), (12345, "full", True), (15001, "threshold", -30.0)]
    whole = through(sound, changes=changes, mode=mode)
    split = through(sound, changes=changes, blocks=sizes, mode=mode)
    assert np.array_equal(whole, split)


@pytest.mark.parametrize(("mode", "least"), [("gate", 8.0), ("wavelet", 6.0)])
def test_learning_the_noise_takes_more_of_it_away(mode, least):
    lead = RATE // 2
    clean = np.concatenate([np.zeros(lead, np.float32), sounds.melody(RATE, 3.0)])
    noisy = clean + sounds.white(len(clean), 0.01)[0]

    def gain(changes):
        made = through(noisy[None], changes=changes, mode=mode)[0]
        return si_sdr(made[lead:], clean[lead:]) - si_sdr(noisy[lead:], clean[lead:])

    learned = gain([(lead, "learn", True)])
    assert learned > least
    assert learned > gain([]) + 2.0


def test_steady_noise_goes_unasked():
    clean = sounds.voice(RATE, 4.0)
    noisy = clean + sounds.white(len(clean), 0.02)[0]
    assert si_sdr(through(noisy[None])[0], clean) - si_sdr(noisy, clean) > 2.0


def test_learning_at_the_very_start_changes_nothing():
    sound = sounds.melody(RATE, 0.5)[None]
    assert np.array_equal(through(sound, changes=[(10, "learn", True)]), through(sound))


@pytest.mark.parametrize("made", [sounds.melody, sounds.voice])
def test_clean_sound_passes(made):
    clean = made(RATE, 4.0)
    assert si_sdr(through(clean[None])[0], clean) > 30.0


@pytest.mark.parametrize("mode", MODES)
def test_full_is_silent_between_phrases(mode):
    phrase = sounds.voice(RATE, 1.5)
    gap = np.zeros(RATE, np.float32)
    sound = np.concatenate([gap, phrase, gap, phrase, gap])
    sound = sound + sounds.white(len(sound), 0.01)[0]
    made = through(sound[None], full=True, mode=mode)[0]
    tenth = RATE // 10
    for end in (len(gap) + len(phrase), 2 * (len(gap) + len(phrase))):
        for at in range(end + int(0.15 * RATE), end + len(gap) - tenth - 2 * RATE // 100, tenth // 4):
            assert sounds.decibels(np.sqrt(np.mean(made[at : at + tenth] ** 2))) <= -60.0
    middle = slice(len(gap) + RATE // 4, len(gap) + len(phrase) - RATE // 4)
    assert si_sdr(made[middle], sound[middle]) > 5.0


@pytest.mark.parametrize("mode", MODES)
def test_full_opens_again_for_a_voice_whose_syllables_swell(mode):
    """It closes in a pause, and the next syllable rises over a quarter of a second, as sung ones do."""
    t = np.arange(6 * RATE) / RATE
    swell = np.clip(1.2 * np.sin(np.pi * 0.8 * t) ** 2, 0.0, 1.0) ** 2
    voice = sum(np.sin(2.0 * np.pi * 220.0 * k * t) / k for k in range(1, 9)) * 0.15 * swell
    sound = np.concatenate([np.zeros(RATE // 10), voice]).astype(np.float32)
    sound[RATE // 10 :] += sounds.white(len(t), 0.004)[0]
    made = through(sound[None], full=True, mode=mode)[0]
    loud = np.flatnonzero(swell > 0.9) + RATE // 10
    second = [loud[(loud >= at * RATE) & (loud < (at + 1) * RATE)] for at in range(1, 6)]
    passed = [sounds.decibels(float(made[at].std() / sound[at].std())) for at in second]
    assert min(passed) > -3.0, passed


def test_threshold_spares_what_is_louder():
    noise = sounds.white(3 * RATE, 0.1)
    lead = [(RATE // 2, "learn", True)]
    taken = through(noise, changes=lead)[0, RATE:]
    spared = through(noise, changes=lead, threshold=-60.0)[0, RATE:]
    assert sounds.decibels(float(taken.std()) / 0.1) < -12.0
    assert sounds.decibels(float(spared.std()) / 0.1) > -1.0


@pytest.mark.parametrize(("name", "value"), [("amount", 0.0), ("full", True), ("threshold", -70.0), ("learn", True)])
def test_a_change_does_not_click(name, value):
    """A click is a jump: energy above 12 kHz that neither the tone nor its windows have."""
    t = np.arange(2 * RATE) / RATE
    sound = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)[None]
    made = through(sound, changes=[(RATE + 17, name, value)])[0]
    jumps = np.abs(np.diff(made, 3))[RATE // 2 : -RATE // 10]
    assert jumps.max() < 4 * np.abs(np.diff(sound[0], 3)).max() + 1e-4


def test_stereo_keeps_its_image():
    left = sounds.melody(RATE, 2.0)
    sound = np.stack([left, 0.5 * left]) + sounds.white(2 * RATE, 0.001) * np.array([[1.0], [0.5]], np.float32)
    made = through(sound.astype(np.float32))
    assert np.abs(made[1] - 0.5 * made[0]).max() < 1e-6


def test_four_channels_and_one_go_through():
    for channels in (1, 4):
        sound = sounds.white(RATE // 4, 0.1, channels=channels)
        assert through(sound).shape == sound.shape


def test_reset_forgets_everything():
    processor, spec = prepared()
    noisy = sounds.melody(RATE, 1.0)[None] + sounds.white(RATE, 0.05)
    fresh = run(processor, noisy, spec)
    run(processor, noisy, spec, changes=[(RATE // 2, "learn", True)])
    run(processor, np.full_like(noisy[:, :4096], np.nan), spec)
    processor.reset()
    assert np.array_equal(run(processor, noisy, spec), fresh)


def test_silence_in_is_silence_out():
    assert not through(np.zeros((2, RATE), np.float32)).any()


def test_importing_the_processor_brings_no_scipy_and_no_torch():
    import subprocess

    code = "import sys, antiphon_denoise.processor; print([m for m in ('scipy', 'torch') if m in sys.modules])"
    paths = ":".join(p for p in sys.path if p)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": paths})
    assert done.stdout.strip() == "[]", done.stderr
