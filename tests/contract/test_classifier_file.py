"""A classifier's folder: what is read of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.contract.classifier_file import DETAILS, read_details
from antiphon.errors import FileError


def test_a_pipe_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / DETAILS)
    with pytest.raises(FileError, match="not an ordinary file"):
        read_details(tmp_path)
