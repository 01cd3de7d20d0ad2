"""`antiphon evaluate stems FOLDER`: songs of anybody's."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_models.stems.evaluation import figures
from antiphon_models.stems.material import RATE
from antiphon_models.stems.testset import own_songs

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
