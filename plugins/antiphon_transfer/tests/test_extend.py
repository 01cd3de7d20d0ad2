"""A recording and some seconds more, by the command."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_models.learning.user_commands import command

RATE = 22050


def test_it_goes_on_with_the_recordings_own_sound(tmp_path):
    t = np.arange(RATE) / RATE
    notes = [0.3 * np.sin(2 * np.pi * hertz * t) * np.exp(-3 * t) for hertz in (220.0, 330.0, 440.0, 277.0, 220.0)]
    sound = np.stack([np.concatenate(notes), 0.5 * np.concatenate(notes)], 1).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", sound, RATE, "FLOAT")
    command("run", "extend", tmp_path / "in.wav", tmp_path / "out.wav", "-p", "seconds=2")
    made, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (made.shape, rate) == ((7 * RATE, 2), RATE)
    kept = round(4.98 * RATE)
    np.testing.assert_array_equal(made[:kept], sound[:kept])
    more = made[5 * RATE :, 0]
    power = np.abs(np.fft.rfft(more)) ** 2
    hertz = np.fft.rfftfreq(len(more), 1 / RATE)
    own = np.any([np.abs(hertz / note - 1) < 0.06 for note in (220.0, 277.0, 330.0, 440.0)], axis=0)
    assert power[own].sum() > 0.9 * power.sum()
    assert more.std() > 0.2 * sound[:, 0].std()
    # no click where it begins
    steps = np.abs(np.diff(made[:, 0]))
    assert steps[5 * RATE - 500 : 5 * RATE + 500].max() <= 1.2 * steps[: 4 * RATE].max()
    command("run", "extend", tmp_path / "in.wav", tmp_path / "again.wav", "-p", "seconds=2")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "again.wav", dtype="float32")[0], made)
    command("run", "extend", tmp_path / "in.wav", tmp_path / "other.wav", "-p", "seconds=2", "-p", "seed=2")
    assert np.abs(soundfile.read(tmp_path / "other.wav", dtype="float32")[0] - made).max() > 0.01


def test_a_quarter_of_a_second_is_too_short(tmp_path):
    soundfile.write(tmp_path / "in.wav", 0.1 * np.ones(RATE // 4, np.float32), RATE)
    with pytest.raises(UsageError, match=r"at least 0\.5 s"):
        command("run", "extend", tmp_path / "in.wav", tmp_path / "out.wav")
