"""`antiphon library fits`: what goes with a loop comes first, and what does not says why."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.kernel.errors import UsageError
from antiphon_library.catalogue import Catalogue
from antiphon_loops.tests.conftest import RATE, bass, chords, drums
from antiphon_models.learning.user_commands import command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fits")
    sounds = {
        "bass": bass(100.0, 4, 0),
        "right": chords(100.0, 4, 0),
        "right_again": chords(100.0, 4, 0),
        "semitone": chords(100.0, 4, 1),
        "quicker": chords(108.0, 4, 0),
        "drums": drums(100.0, 4, 1),
        "hiss": 0.1 * np.random.default_rng(1).standard_normal(RATE // 2),
    }
    for name, sound in sounds.items():
        soundfile.write(place / f"{name}.wav", sound / np.abs(sound).max() / 2, RATE)
    return place


@pytest.fixture(scope="module", params=["fit", "loop"])
def root(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a catalogue with this analysis."""
    place = tmp_path_factory.mktemp("catalogue")
    command("library", "--root", place, "analyse", folder, "--only", request.param, "--only", "loop")
    return place


def matches(root: Path, file: Path, *words: str) -> dict[str, Any]:
    found = json.loads(command("library", "--root", root, "fits", file, *words, "--json"))["matches"]
    assert [set(row) >= {"path", "score", "why"} for row in found]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    return {Path(row["path"]).stem: row for row in found}


@pytest.mark.parametrize("root", ["fit"], indirect=True)
def test_a_copy_of_the_sound_is_no_match(root: Path, folder: Path, tmp_path: Path) -> None:
    found = matches(root, Path(shutil.copy(folder / "bass.wav", tmp_path / "copy.wav")))
    assert "right" in found
    assert {"bass", "right_again"}.isdisjoint(found), "nor is it listed twice"


def test_the_part_of_the_same_music_is_first_and_the_others_say_what_is_wrong(root: Path, folder: Path) -> None:
    found = matches(root, folder / "bass.wav")
    assert "bass" not in found
    assert "hiss" not in found
    assert next(name for name in found if name != "drums") == "right"
    assert {"same tempo", "key fits"} <= set(found["right"]["why"])
    assert "key a semitone too high" in found["semitone"]["why"]
    assert "tempo 8 % quicker" in found["quicker"]["why"]
    assert not any(word.startswith("key") for word in found["drums"]["why"])
    assert found["right"]["score"] > max(found["semitone"]["score"], found["quicker"]["score"])
    assert list(matches(root, folder / "bass.wav", "-n", "1")) == list(found)[:1]


@pytest.mark.parametrize("root", ["fit"], indirect=True)
def test_beats_that_are_known_are_its_tempo_wherever_it_is_cut(root: Path, tmp_path: Path) -> None:
    """Bars that a sequencer cuts begin anywhere in what plays: the silence before a note is none before the loop."""
    since = (np.arange(8 * RATE) + RATE // 10) % (RATE // 2) / RATE
    soundfile.write(tmp_path / "cut.wav", 0.5 * np.exp(-40.0 * since) * np.sin(2400.0 * since), RATE)
    assert matches(root, tmp_path / "cut.wav")["right"]["why"][0] == "tempo 11 % quicker", "taken for 90 bpm"
    assert matches(root, tmp_path / "cut.wav", "--beats", "16")["right"]["why"][0] == "tempo 17 % slower"
    with pytest.raises(UsageError, match="--beats says how many FILE holds"):
        command("library", "--root", root, "fits", "--live", "--beats", "16")


@pytest.mark.parametrize("root", ["fit"], indirect=True)
def test_a_file_outside_the_library_is_analysed_and_not_added(root: Path, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.wav"
    file.write_bytes((folder / "bass.wav").read_bytes())
    found = matches(root, file)
    assert next(name for name in found if name not in ("drums", "bass")) == "right"
    assert "mine" not in command("library", "--root", root, "list")


def test_of_what_has_no_tempo_no_reason_speaks_of_one_and_speech_is_no_loop(folder: Path, tmp_path: Path) -> None:
    place, root = tmp_path / "sounds", tmp_path / "root"
    place.mkdir()
    rng = np.random.default_rng(2)
    sounds = {"bass": bass(100.0, 4, 0), "drums": drums(100.0, 4, 1)}
    sounds |= {name: rng.standard_normal(9 * RATE) for name in ("hiss", "talk")}
    sounds |= {"sine": np.sin(0.1 * np.arange(8 * RATE)), "chorale": np.sin(0.1 * np.arange(25 * RATE))}
    for name, sound in sounds.items():
        soundfile.write(place / f"{name}.wav", sound / np.abs(sound).max() / 2, RATE)
    asked = [word for name in ("fit", "loop", "music") for word in ("--only", name)]
    command("library", "--root", root, "analyse", place, *asked)
    with Catalogue(root) as catalogue:  # as if a voice, and harmony without a beat, had been found there
        for digest, path, *_ in catalogue.sounds():
            if b"talk" in path:
                spoken = {"speechiness": 0.95, "instrumentalness": 0.0}
                catalogue.put_results(digest, {"genre": (9, {"content": "speech", "content_sure": 0.95}, "")})
                catalogue.put_results(digest, {"character": (9, spoken, "")})
            elif b"chorale" in path:
                catalogue.put_results(digest, {"music": (4, {"tempo_confidence": 0.1, "key_confidence": 0.9}, "")})
    found = matches(root, place / "bass.wav")
    assert found.keys() == {"drums", "hiss", "sine"}
    assert found["drums"]["why"][0] == "same tempo"
    for row in (found["hiss"], found["sine"], *matches(root, place / "hiss.wav").values()):
        assert row["why"][0] == "tempo unknown"
        assert not {"same tempo", "groove fits", "groove differs", "denser", "sparser"} & set(row["why"])
    with pytest.raises(UsageError, match=r"talk\.wav: it is silent, or no loop"):
        command("library", "--root", root, "fits", place / "talk.wav")
    outside = Path(shutil.copy(place / "hiss.wav", tmp_path / "outside.wav"))
    assert matches(root, outside)["bass"]["why"][0] == "tempo unknown"


@pytest.mark.parametrize("root", ["fit"], indirect=True)
def test_a_song_outside_the_library_is_no_loop_as_one_inside_is_not(root: Path, tmp_path: Path) -> None:
    song = np.tile(bass(100.0, 4, 0), 7)
    soundfile.write(tmp_path / "song.wav", song / np.abs(song).max() / 2, RATE)
    with pytest.raises(UsageError, match=r"song\.wav: it is silent, or no loop of 1 to 60 s"):
        command("library", "--root", root, "fits", tmp_path / "song.wav")
