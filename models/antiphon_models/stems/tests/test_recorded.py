"""Scenes of recorded music: nobody sings in them, and a guitar alone is the rest."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon_models.stems.recorded import MIN_MUSIC_SECONDS, pieces, recorded


@pytest.mark.parametrize("name", ["song", "guitar"])
def test_a_scene_is_a_part_of_a_piece_without_a_voice(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "debian/fretsonfire-songs-muldjord/usr"
    folder.mkdir(parents=True)
    rate = 16000
    t = np.arange(round((MIN_MUSIC_SECONDS + 2) * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.random.default_rng(1).standard_normal(len(t)) * (
        t % 0.5 < 0.02
    )
    soundfile.write(folder / f"{name}.ogg", sound, rate)
    soundfile.write(folder / "short.ogg", sound[:rate], rate)
    assert [path.stem for package in pieces(tmp_path, "train") for path in package] == [name]
    assert pieces(tmp_path, "test") == ()
    stems = recorded(tmp_path, "train", random.Random(2), 44100, 60000)
    assert stems.shape == (4, 60000)
    assert not stems[2].any()
    assert np.mean(stems[3] ** 2) > 0.5 * np.mean(sound**2)
    assert np.any(stems[:2]) == (name == "song")
