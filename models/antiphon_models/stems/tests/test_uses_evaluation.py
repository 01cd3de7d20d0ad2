"""The songs with drums on which `antiphon evaluate stems-uses` measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon_models.listen.songs import RATE, ListenedSong
from antiphon_models.stems.material import RATE as MIXED
from antiphon_models.stems.uses_evaluation import DRUMS, KIT, SECONDS, with_drums


def test_a_kit_is_struck_on_the_beats_and_the_truth_ends_with_the_sound(tmp_path: Path) -> None:
    (tmp_path / "sonicpi").mkdir()
    for name in KIT:
        soundfile.write(tmp_path / "sonicpi" / f"{name}.flac", np.ones(100) * 0.5, MIXED)
    tone = 0.3 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE) / RATE).astype(np.float32)
    beats = np.arange(0.25, 80.0, 0.5)
    chords = ((0.0, 3.0, "C:maj"), (3.0, 9.0, "N"), (9.0, 12.0, "C:maj"))
    song = with_drums(ListenedSong("a", tone, beats, beats[::4], chords, "C major", 1), tmp_path)
    assert len(song.sound) == 4 * MIXED < SECONDS * MIXED
    assert song.beats[-1] == 3.75
    assert song.downbeats.tolist() == [0.25, 2.25]
    assert song.chords == ((0.0, 3.0, "C:maj"), (3.0, 4.0, "N"))
    # tones of 50 Hz are gone a hundredth of a second apart, the clicks of the kit are not
    rise = np.abs(np.diff(song.sound))
    struck = np.flatnonzero(rise > 0.1) / MIXED
    assert np.abs((struck - 0.25 + 0.01) % 0.25 - 0.01).max() < 0.005
    assert {round(one * 4) for one in struck} == set(range(1, 16))
    bass = np.abs(np.fft.rfft(song.sound))[4 * 50 - 2 : 4 * 50 + 3]
    tones = 2.0 * (bass**2).sum() / len(song.sound)
    others = float((song.sound**2).sum()) - tones
    assert 10 * np.log10(others / tones) == pytest.approx(DRUMS, abs=0.7)
