"""The step `stems` by its command, on Direct and on Dask; it needs the extra `pipeline`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import audio

from antiphon.kernel.errors import PluginError
from antiphon.offline import analyses as registered
from antiphon_models.learning.user_commands import command
from antiphon_models.pipeline.running import run
from antiphon_models.pipeline.settings import load

EXTRA = importlib.util.find_spec("apache_beam") and importlib.util.find_spec("pyarrow")
needs_beam = pytest.mark.skipif(not EXTRA, reason="needs the extra: pip install 'antiphon-lab[pipeline]'")
PARTS = ("drums", "bass", "voice", "other")


def pipeline(folder: Path, name: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\n[gather]\ndataset = "folder"\npath = "sounds"\n[preprocess]\nseconds = 1.0\nshards = 2\n'
    )
    return path


@pytest.mark.real
@needs_beam
def test_stems_add_up_to_the_excerpt_and_are_the_same_by_direct_and_dask(tmp_path: Path) -> None:
    from pyarrow import parquet

    for n in range(3):
        place = tmp_path / f"sounds/all/song {n}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        audio.write(place, audio.noise(24000, 2, seed=n) * 0.2, 16000)
    (tmp_path / "sounds/all/broken.wav").write_bytes(b"RIFF")
    said = command("pipeline", "run", pipeline(tmp_path, "one"), "--steps", "gather,stems", "--workers", "1", "--json")
    report = json.loads(said)
    assert report["analysed"]["stems"]["sounds"] == 4
    assert list(report["dead"]) == ["all/broken.wav"]
    rows = [row for path in (tmp_path / "one/stems").glob("*.parquet") for row in parquet.read_table(path).to_pylist()]
    assert sorted((row["name"], row["stem"]) for row in rows) == sorted(
        (f"all/song {n}.wav", part) for n in range(3) for part in PARTS
    )
    for n in range(3):
        mine = [row for row in rows if row["name"] == f"all/song {n}.wav"]
        whole = sum(soundfile.read(tmp_path / "one" / row["sound"])[0] for row in mine)
        sound = soundfile.read(tmp_path / f"sounds/all/song {n}.wav")[0]
        np.testing.assert_allclose(whole, sound[4000:20000], atol=4 / 32768)
        assert all(len(row["mel"]) == 2 * row["frames"] * row["bands"] for row in mine)
        assert all(row["level"] < 3.0 for row in mine)
    other = load(pipeline(tmp_path, "other"))
    run(other, ("gather", "stems"), runner="dask", workers=1)
    for path in sorted((tmp_path / "one").glob("stem*/**/*.*")):
        if path.suffix != ".json":
            assert (other.out / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes(), path


def test_without_a_plugin_that_takes_apart_the_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "analyses", dict)
    with pytest.raises(PluginError, match="no plugin takes sounds apart"):
        registered.separator()
