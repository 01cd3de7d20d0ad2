"""Songs of anybody's in `antiphon evaluate stems FOLDER`, and scenes of recorded music."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_models.stems.evaluation import figures, own_songs
from antiphon_models.stems.material import MIN_MUSIC_SECONDS, RATE, make_scene, pieces

RNG = np.random.default_rng(3)


def write(path: Path, sound: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, RATE, "FLOAT")
    return sound


def test_songs_are_folders_of_stems_with_or_without_their_mix(tmp_path: Path) -> None:
    drums, vocals = (
        write(tmp_path / "a" / f"{n}.wav", RNG.standard_normal((2, 900)) * 0.1) for n in ("drums", "vocals")
    )
    mix = write(tmp_path / "b/mixture.wav", RNG.standard_normal((2, 800)) * 0.1)
    bass = write(tmp_path / "b/bass.wav", RNG.standard_normal((1, 700)) * 0.1)
    (tmp_path / "empty").mkdir()
    first, second = own_songs([tmp_path])
    assert (first.name, second.name) == ("a", "b")
    np.testing.assert_allclose(first.mix, drums + vocals, atol=1e-6)
    assert not first.stems[[1, 3]].any()
    np.testing.assert_allclose(second.mix, mix, atol=1e-6)
    np.testing.assert_allclose(second.stems[1, :, :700], np.repeat(bass, 2, axis=0), atol=1e-6)
    assert np.isnan(second.stems[[0, 2, 3]]).all()
    measured = list(figures("itself", second, np.stack([second.mix] * 4)))
    assert [(value.measure, round(value.value, 6)) for value in measured] == [("bass", 0.0)]
    assert [song.name for song in own_songs([tmp_path / "a"])] == ["a"]
    (tmp_path / "b/bass.wav").write_bytes(b"RIFF")
    said: list[str] = []
    assert [song.name for song in own_songs([tmp_path], said.append)] == ["a"]
    assert [line.partition(":")[0] for line in said] == ["b is left out"]
    with pytest.raises(UsageError, match=r"empty holds no stems; stems is evaluated on folders of songs"):
        list(own_songs([tmp_path / "empty"]))
    with pytest.raises(UsageError, match=r"bass.wav holds no stems"):
        list(own_songs([tmp_path / "b/bass.wav"]))


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
    stems = make_scene(tmp_path, "train", random.Random(2), 44100, 60000)
    assert stems.shape == (4, 60000)
    assert not stems[2].any()
    assert np.mean(stems[3] ** 2) > 0.5 * np.mean(sound**2)
    assert np.any(stems[:2]) == (name == "song")
