"""Temporary folders: a killed process's one goes at the next start, others stay; a full disk is named."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from antiphon.files.finishing import Finishing
from antiphon.files.sound_finish import SoundFinish
from antiphon.files.temporary import FOLDER, sweep, temporary_folder
from antiphon.kernel.errors import FileError

HOLDER = """
import sys, signal
from antiphon.files.temporary import TemporaryFolder
held = TemporaryFolder()
(held.path / "in.wav").write_bytes(bytes(1000))
print(held.path, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_folder_of_a_killed_process_goes_at_the_next_start(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.parent == tmp_path
        sweep()
        assert (folder / "in.wav").exists()
        process.send_signal(signal.SIGKILL)
    with temporary_folder() as own:
        assert list(tmp_path.glob("*")) == [own]
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_stay(tmp_path: Path) -> None:
    plain, target = tmp_path / f"{FOLDER}plain", tmp_path / "target"
    for folder in (plain, target):
        folder.mkdir()
    (target / ".lock").touch()
    (tmp_path / f"{FOLDER}link").symlink_to(target)
    sweep()
    assert {path.name for path in tmp_path.iterdir()} == {plain.name, "target", f"{FOLDER}link"}
    assert (target / ".lock").exists()


def test_full_folder_is_named_with_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finishing = Finishing(SoundFinish(loudness=-20.0), 48000, 1)

    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(finishing, "_held", Full())
    with pytest.raises(FileError, match=rf"temporary files {tmp_path} cannot be written: no space left .* TMPDIR$"):
        finishing.take(np.zeros((1, 480), np.float32))
