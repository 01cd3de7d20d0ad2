"""`antiphon models` and `antiphon doctor` know the library's model files."""

from pathlib import Path

import pytest

from antiphon.doctor import software
from antiphon.networks import model_registry
from antiphon_model.tests import exports


def test_the_library_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    assert not model_registry.files()
    assert not list(software.check_model_files())
    library = tmp_path / "data" / "library"
    library.mkdir(parents=True)
    exports.known(exports.saved(library / "gain.onnx", exports.onnx_gain(rate=44100)))
    exports.saved(library / "kick.wav", b"RIFF")
    (row,) = model_registry.files()
    assert (row.file, row.method, row.rate, row.source, row.problem) == ("gain.onnx", "forward", 44100, "measured", "")
    (finding,) = software.check_model_files()
    assert (finding.state, finding.text) == ("works", "1 of 1 in the library can be played")
    exports.saved(library / "broken.ts", b"nothing")
    bad, good = model_registry.files()
    assert good == row
    assert "neither a TorchScript archive" in bad.problem
    (finding,) = software.check_model_files()
    assert (finding.state, "broken.ts" in finding.text) == ("limited", True)
