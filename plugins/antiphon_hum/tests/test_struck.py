"""A plucked line whose notes ring on is one voice; chords are none."""

import numpy as np
import pytest
import soxr

from antiphon.api import Samples
from antiphon_hum.transcription.notes import Play, transcribe
from antiphon_hum.transcription.struck import StruckLine

RATE = 44100
LINE = (48, 50, 52, 53, 55, 57, 59, 60, 60, 57, 55, 64, 48)


def plucked(chords: list[tuple[int, ...]], apart: float, decay: float) -> Samples:
    """Strings, each struck harmonic dying the sooner the higher it is."""
    sound = np.zeros(round((len(chords) * apart + 1.0) * RATE))
    for n, chord in enumerate(chords):
        at = round((0.2 + n * apart) * RATE)
        t = np.arange(len(sound) - at) / RATE
        for number in chord:
            hertz = 440.0 * 2.0 ** ((number - 69) / 12.0)
            for k in range(1, 12):
                level = 0.2 / k * np.exp(-t * decay * (1.0 + 0.3 * k)) * np.minimum(1.0, t * 400.0)
                sound[at:] += level * np.sin(2.0 * np.pi * hertz * k * t + k)
    return np.stack([sound, -sound]).astype(np.float32)


def player(sound: Samples) -> Play:
    return lambda at, feed: feed(sound if at in (0, RATE) else np.asarray(soxr.resample(sound.T, RATE, at).T))


@pytest.mark.parametrize("decay", [0.6, 3.0], ids=["rings on", "dies"])
def test_each_note_of_a_line_is_found(decay: float) -> None:
    found = transcribe(player(plucked([(number,) for number in LINE], 0.35, decay)), RATE, {})
    assert [note.number for note in found.notes] == list(LINE)
    assert found.struck
    assert found.cancelled
    starts = np.array([note.start / RATE for note in found.notes])
    assert np.abs(starts - 0.2 - 0.35 * np.arange(len(LINE))).max() < 0.03


def test_chords_and_noise_are_no_line() -> None:
    chords = plucked([(48, 52, 55), (45, 48, 52), (41, 45, 48), (43, 47, 50)] * 2, 0.5, 1.0)
    assert not transcribe(player(chords), RATE, {}).struck
    line = StruckLine()
    line.feed(np.random.default_rng(1).normal(0.0, 0.1, (1, 60000)).astype(np.float32))
    assert line.notes(0, 127) == []
    assert StruckLine().notes(0, 127) == []
