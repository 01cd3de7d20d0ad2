"""Instruments and effects made up by chance: by seed, in tune, of their length, and never of noise alone."""

import importlib.util
import random

import numpy as np
import pytest

scipy = importlib.util.find_spec("scipy")
pytestmark = pytest.mark.skipif(scipy is None, reason="needs scipy, of the extra training")
RATE = 48000


def fundamental(sound, hertz):
    """How far the strongest line within a semitone of `hertz` stands above the median of that third of an octave."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    lines = np.fft.rfftfreq(len(sound), 1 / RATE)
    near = power[(lines > hertz / 1.06) & (lines < hertz * 1.06)].max()
    return near / np.median(power[(lines > hertz / 1.2) & (lines < hertz * 1.2)])


@pytest.mark.parametrize("seed", range(8))
def test_an_instrument_sounds_where_its_notes_are_and_at_their_pitch(seed):
    from antiphon_models.denoise.training.voices import VoiceNote, played

    sound = played([VoiceNote(0.5, 0.8, 57.0, 0.8)], 3.0, random.Random(seed))
    assert (sound.dtype, sound.shape) == (np.float32, (3 * RATE,))
    assert np.array_equal(sound, played([VoiceNote(0.5, 0.8, 57.0, 0.8)], 3.0, random.Random(seed)))
    inside = sound[RATE // 2 : RATE * 13 // 10]
    assert np.sqrt(np.mean(inside**2)) > 20 * np.sqrt(np.mean(sound[: RATE // 4] ** 2))
    assert fundamental(inside, 220.0) > 30


def test_every_effect_changes_the_sound_and_not_its_length_and_leaves_silence_silent():
    from antiphon_models.denoise.training.effects import EFFECTS

    rng = np.random.default_rng(1)
    sound = (np.sin(np.arange(2 * RATE) * 0.05) * np.linspace(1, 0, 2 * RATE) * 0.5).astype(np.float32)
    sound += 0.1 * rng.standard_normal(len(sound)).astype(np.float32)
    for effect in EFFECTS:
        made = effect(sound, random.Random(4))
        assert made.shape == sound.shape, effect
        assert np.isfinite(made).all(), effect
        assert np.abs(made - sound).max() > 0.01, effect
        assert not effect(np.zeros(RATE, np.float32), random.Random(4)).any(), effect
