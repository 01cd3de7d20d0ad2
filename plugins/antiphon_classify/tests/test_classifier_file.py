"""A classifier's folder: what is read of it."""

import os
from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError
from antiphon.signal.mel import MelSettings
from antiphon_classify.classifier_file import DETAILS, ClassifierDetails, read_details


def test_a_pipe_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / DETAILS)
    with pytest.raises(FileError, match="not an ordinary file"):
        read_details(tmp_path)


def test_an_excerpt_that_would_take_all_memory_is_refused(tmp_path: Path) -> None:
    def written(frames: int, bands: int) -> Path:
        mel = MelSettings(hop=16, bands=bands)
        details = ClassifierDetails("drums", "sklearn", ("kick", "snare"), mel, frames, "0" * 40)
        (tmp_path / DETAILS).write_bytes(details.content())
        return tmp_path

    with pytest.raises(FileError, match="an excerpt has 100000 frames of 512 bands; 4194304 numbers are allowed"):
        read_details(written(100_000, 512))
    assert read_details(written(8000, 512)).together == 4
    assert read_details(written(128, 64)).together == 64
