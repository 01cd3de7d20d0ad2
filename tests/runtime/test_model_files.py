"""Weights come by safetensors and manifest, or a sentence says why not."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.runtime import model_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model_files.write("toy", {"w": np.arange(6, dtype=np.float16).reshape(2, 3)}, tmp_path, {"licence": "MIT"})
    return tmp_path


def test_weights_come_back_as_they_were_written(folder: Path) -> None:
    got = model_files.weights("toy", folder)
    assert got["w"].dtype == np.float16
    np.testing.assert_array_equal(got["w"], [[0, 1, 2], [3, 4, 5]])
    assert model_files.entry("toy", folder)["licence"] == "MIT"


def test_changed_weights_are_refused(folder: Path) -> None:
    path = folder / "toy.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(model_files.ModelError, match="not those of the manifest"):
        model_files.weights("toy", folder)


@pytest.mark.parametrize("harm", ["file", "manifest", "name", "toml"])
def test_what_is_missing_is_said(folder: Path, harm: str) -> None:
    if harm == "file":
        (folder / "toy.safetensors").unlink()
    if harm == "manifest":
        (folder / "manifest.toml").unlink()
    if harm == "toml":
        (folder / "manifest.toml").write_text("[")
    with pytest.raises(model_files.ModelError):
        model_files.weights("other" if harm == "name" else "toy", folder)


def test_a_pickle_is_not_loaded(folder: Path) -> None:
    import hashlib
    import pickle

    path = folder / "toy.safetensors"
    path.write_bytes(pickle.dumps({"w": 1}))
    text = (folder / "manifest.toml").read_text()
    old = model_files.entry("toy", folder)["sha256"]
    (folder / "manifest.toml").write_text(text.replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(model_files.ModelError, match="no safetensors"):
        model_files.weights("toy", folder)
