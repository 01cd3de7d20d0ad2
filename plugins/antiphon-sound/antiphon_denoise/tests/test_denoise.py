"""The denoiser as the host runs it, in each mode: sound in, sound out, measured."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.each import each

from antiphon_denoise.processor import MODELS
from antiphon_denoise.tests import sounds
from antiphon_denoise.tests.running import prepared, run, through
from antiphon_models.denoise.evaluation import si_sdr

RATE = 48000
PLAIN = ("gate", "wavelet")
MODES = (*PLAIN, *MODELS)
RATES = (44100, 48000, 96000)


@each("mode, rate", [*((mode, rate) for mode in PLAIN for rate in RATES), *((mode, RATE) for mode in MODELS)])
def test_with_nothing_taken_away_the_input_comes_back_after_the_latency(mode, rate):
    sound = sounds.white(rate // 4, 0.2, channels=2)
    assert sounds.decibels(np.abs(through(sound, mode, rate, amount=0.0) - sound).max() / 0.2) < -100


@each(
    "mode, latency, rate, channels, most",
    [
        *((mode, "normal", rate, 1, 0.032) for mode in PLAIN for rate in RATES),
        # 16 ms of the algorithm and a hop for the worker
        ("learned", "normal", 44100, 2, 0.0265),
        ("learned", "normal", 96000, 1, 0.0265),
        ("autoencoder", "normal", 48000, 2, 0.0265),
        ("learned", "low", 44100, 2, 0.010),
        ("autoencoder", "low", 48000, 1, 0.010),
        ("gate", "low", 96000, 2, 0.010),
    ],
)
def test_latency_is_what_an_impulse_takes(mode, latency, rate, channels, most):
    processor, spec = prepared(mode, rate, 256, channels, latency)
    sound = np.zeros((channels, rate // 4), np.float32)
    sound[:, 5000] = 1.0
    out = run(processor, sound, spec, first={"amount": 0.0})
    processor.close()
    assert (np.abs(out).argmax(axis=1) - 5000 == processor.latency).all()
    assert processor.latency <= most * rate
    assert np.delete(np.abs(out), 5000 + processor.latency, axis=1).max() < 1e-5


CHANGES = [(3001, "amount", 0.5), (9007, "learn", True), (11345, "full", True), (13001, "threshold", -30.0)]


@cache
def material(rate: int) -> np.ndarray:
    return sounds.melody(rate, 0.3)[None] + sounds.white(int(rate * 0.3), 0.02)


@cache
def whole(mode: str, rate: int, latency: str) -> np.ndarray:
    return through(material(rate), mode, rate, CHANGES, latency=latency)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=4)
@given(
    sizes=st.lists(st.integers(1, 512), min_size=1, max_size=40),
    how=st.sampled_from([(44100, "normal"), (48000, "low"), (96000, "normal")]),
)
def test_any_block_split_gives_the_same_samples(mode, sizes, how):
    rate, latency = how
    split = through(material(rate), mode, rate, CHANGES, sizes, latency=latency)
    assert np.abs(whole(mode, rate, latency) - split).max() <= (1e-5 if mode in MODELS else 0.0)


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


@each("made", [sounds.melody, sounds.voice])
def test_clean_sound_passes(made):
    clean = made(RATE, 4.0)
    assert si_sdr(through(clean[None])[0], clean) > 30.0


@pytest.mark.parametrize(
    ("mode", "noise", "after"), [("gate", 0.01, 0.15), ("wavelet", 0.01, 0.15), ("learned", 0.005, 0.25)]
)
def test_full_is_silent_between_phrases(mode, noise, after):
    phrase = sounds.voice(RATE, 1.5)
    gap = np.zeros(RATE, np.float32)
    sound = np.concatenate([gap, phrase, gap, phrase, gap])
    sound = sound + sounds.white(len(sound), noise)[0]
    made = through(sound[None], full=True, mode=mode)[0]
    tenth = RATE // 10
    for end in (len(gap) + len(phrase), 2 * (len(gap) + len(phrase))):
        for at in range(end + int(after * RATE), end + len(gap) - tenth - 2 * RATE // 100, 960):
            assert sounds.decibels(np.sqrt(np.mean(made[at : at + tenth] ** 2))) <= -60.0
    middle = slice(len(gap) + RATE // 4, len(gap) + len(phrase) - RATE // 4)
    assert si_sdr(made[middle], sound[middle]) > 5.0


@pytest.mark.parametrize("mode", PLAIN)
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


@each("mode", ["gate", "learned"])
def test_threshold_spares_what_is_louder(mode):
    noise = sounds.white(2 * RATE, 0.1)
    lead = [(RATE // 2, "learn", True)]
    taken, spared = (through(noise, mode, changes=lead, threshold=level)[0, RATE:] for level in (0.0, -60.0))
    assert sounds.decibels(float(taken.std()) / 0.1) < -12.0
    assert abs(sounds.decibels(float(spared.std()) / 0.1)) < 1.0


@each("name, value", [("amount", 0.0), ("full", True), ("threshold", -70.0), ("learn", True)])
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


@each("mode", ["gate", "learned"])
def test_reset_forgets_everything(mode):
    processor, spec = prepared(mode)
    noisy = sounds.melody(RATE, 0.5)[None] + sounds.white(RATE // 2, 0.05)
    fresh = run(processor, noisy, spec)
    run(processor, noisy, spec, changes=[(RATE // 4, "learn", True)])
    run(processor, np.full_like(noisy[:, :4096], np.nan), spec)
    processor.reset()
    assert np.abs(run(processor, noisy, spec) - fresh).max() <= (1e-5 if mode in MODELS else 0.0)
    processor.close()


@each("mode", ["gate", "learned"])
def test_silence_in_is_silence_out(mode):
    assert not through(np.zeros((2, RATE // 2), np.float32), mode).any()
