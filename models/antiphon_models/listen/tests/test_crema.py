"""The weights that ship are those of crema's wheel."""

import os
from pathlib import Path

import pytest

from antiphon.api.backends.models import manifest_entry, write_weights
from antiphon_listen.chord_network import MODEL
from antiphon_models.listen.crema import convert


def test_the_wheel_is_converted_to_the_weights_that_ship(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    folder = os.environ.get("ANTIPHON_WHEELS")
    wheels = sorted(Path(folder).glob("crema-0.2.0-*.whl")) if folder else []
    if not wheels:
        pytest.skip("needs crema 0.2.0's wheel (pip download --no-deps crema==0.2.0) in $ANTIPHON_WHEELS")
    write_weights(MODEL, convert(wheels[0]), tmp_path, {})
    assert manifest_entry(MODEL, tmp_path)["sha256"] == manifest_entry(MODEL)["sha256"]
