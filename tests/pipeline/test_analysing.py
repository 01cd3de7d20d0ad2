"""Analyses and predictions as shards, and into the catalogue; it needs the extra `pipeline`."""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon.kernel.errors import FileError
from antiphon.testing import sound as audio
from antiphon_library import analysing, scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.shard_import import import_shards
from antiphon_models.pipeline.analysing import new_sounds
from antiphon_models.pipeline.running import run
from antiphon_models.pipeline.settings import PipelineSettings, load

EXTRA = importlib.util.find_spec("apache_beam") and importlib.util.find_spec("pyarrow")
NAMES = ["fingerprint", "genre", "loudness"]
needs_beam = pytest.mark.skipif(not EXTRA, reason="needs the extra: pip install 'antiphon-lab[pipeline]'")


def sounds(folder: Path, count: int, seed: int = 1) -> None:
    for n in range(count):
        place = folder / ("calm" if n % 2 else "loud") / f"song {n}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        audio.write(place, audio.noise(52000, 1, seed=seed + n) * (0.1 + 0.05 * n), 16000)


def pipeline(folder: Path, name: str = "one") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\n[gather]\ndataset = "folder"\npath = "sounds"\n'
        f"[analyse]\nanalyses = {NAMES}\nshards = 4\n"
        '[predict]\npath = "new"\nanalyses = ["loudness"]\nshards = 3\n'
    )
    return path


@pytest.fixture
def settings(tmp_path: Path) -> PipelineSettings:
    sounds(tmp_path / "sounds", 6)
    (tmp_path / "sounds/loud/broken.wav").write_bytes(b"RIFF")
    return load(pipeline(tmp_path))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("0*"))}


def rows(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What a catalogue says, with the landmarks, by path."""
    with Catalogue(root) as catalogue:
        landmarks = {
            path: data
            for serial, data in catalogue.landmarks(sorted(catalogue.landmark_serials()))
            for path in catalogue.files_of(serial)[1]
        }
        return {
            row.path: (row.duration, row.rate, row.channels, row.tags, dict(row.results), landmarks[row.path])
            for row in catalogue.rows()
            if not row.problem
        }


@pytest.mark.real
@needs_beam
def test_a_catalogue_from_shards_is_the_one_that_analyse_makes(tmp_path: Path, settings: PipelineSettings) -> None:
    report = run(settings, ("gather", "analyse"), workers=2)
    assert report.analysed["analyse"]["sounds"] == 7
    assert list(report.dead) == ["loud/broken.wav"]
    assert "broken.wav" not in report.dead["loud/broken.wav"]  # the line begins with it
    with Catalogue(tmp_path / "there") as catalogue:
        scanning.add(catalogue, [tmp_path / "sounds"], lambda *_: None)
        analysing.analyse(catalogue, NAMES, [], lambda *_: None)
    with Catalogue(tmp_path / "here") as catalogue:
        counts = import_shards(catalogue, settings.out, None, lambda *_: None)
        assert (counts.added, counts.unknown, counts.problems) == (6, 0, [])
        assert import_shards(catalogue, settings.out, None, lambda *_: None).added == 6
    here = rows(tmp_path / "here")
    assert len(here) == 6
    assert here == rows(tmp_path / "there")


@pytest.mark.real
@needs_beam
def test_a_sound_is_known_by_its_content_and_a_file_that_changed_is_named(
    tmp_path: Path, settings: PipelineSettings
) -> None:
    run(settings, ("gather", "analyse"), workers=1)
    shutil.copytree(tmp_path / "sounds", tmp_path / "copy")
    (tmp_path / "sounds/calm/song 1.wav").rename(tmp_path / "moved.wav")
    (tmp_path / "sounds/calm/song 3.wav").unlink()
    audio.write(tmp_path / "sounds/calm/song 5.wav", audio.noise(24000, 1, seed=99), 16000)
    with Catalogue(tmp_path / "here") as catalogue:
        scanning.add(catalogue, [tmp_path / "moved.wav"], lambda *_: None)
        counts = import_shards(catalogue, settings.out, None, lambda *_: None)
        assert (counts.added, counts.known, counts.unknown) == (3, 1, 2)
        assert len(counts.problems) == 1
        assert "song 5.wav has changed since it was analysed" in counts.problems[0]
        assert import_shards(catalogue, settings.out, tmp_path / "copy", lambda *_: None).added == 6
    with Catalogue(tmp_path / "none") as catalogue, pytest.raises(FileError, match="there are no shards in"):
        import_shards(catalogue, tmp_path / "sounds", None, lambda *_: None)


@pytest.mark.real
@needs_beam
def test_predictions_of_a_run_that_was_killed_are_completed_with_the_same_bytes(
    tmp_path: Path, settings: PipelineSettings
) -> None:
    sounds(tmp_path / "new", 8, seed=50)
    (tmp_path / "new/empty.mp3").write_bytes(b"")
    report = run(settings, ("predict",), workers=1)
    assert report.analysed["predict"] == {"sounds": 9, "dead": 1, "shards": 3, "computed": 3}
    found = [json.loads(line) for path in (settings.out / "predictions").glob("*.jsonl") for line in path.open()]
    assert sorted(row["name"] for row in found) == sorted(
        item.name for item in new_sounds(tmp_path / "new") if item.name != "empty.mp3"
    )
    assert all(row["loudness"]["loudness"] < 0.0 and row["loudness"]["problem"] == "" for row in found)
    other = pipeline(tmp_path, "other")
    out = load(other).out
    command = [sys.executable, "-m", "antiphon", "pipeline", "run", str(other), "--steps", "predict"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    until(lambda: any((out / "predictions").glob("*.parquet")), 60, "no shard is written")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run(load(other), ("predict",), workers=1)
    assert digests(out / "predictions") == digests(settings.out / "predictions")
    assert len(digests(out / "predictions")) == 6


def test_predict_needs_its_table_and_a_folder_with_sounds(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no folder"):
        new_sounds(tmp_path / "new")
    (tmp_path / "new").mkdir()
    with pytest.raises(FileError, match="holds no sound"):
        new_sounds(tmp_path / "new")
