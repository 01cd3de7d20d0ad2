"""What a scsynth of ours leaves when it is killed: memory under its port's number, and its worker's folder.

A worker is killed as well, so it cannot always tidy up itself. Its folder says which ports are its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from antiphon.lifeline import born

PREFIX = "antiphon-scsynth-"
RUNNING = "running"
"""In a worker's folder: an empty file for each scsynth of its own, called as its port."""
MEMORY = Path("/dev/shm")
ENDING_SECONDS = 1.0
"""How long a server that ends waits for its scsynths."""
STEP = 0.02


def claim(folder: Path, port: int) -> None:
    """A scsynth of ours will have that port. A folder that is no worker's takes no note of it."""
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).touch()


def release(folder: Path, port: int) -> None:
    """It has ended."""
    with contextlib.suppress(OSError):
        (MEMORY / f"SuperColliderServer_{port}").unlink()
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).unlink()


def sweep(patience: float = 0.0) -> None:
    """Takes away what workers left that were killed. patience: seconds for their scsynths, which are ending."""
    until = time.monotonic() + patience
    for folder in _abandoned():
        while _ports(folder) & _listening() and time.monotonic() < until:
            time.sleep(STEP)
        # a port that is heard at may be somebody else's by now
        listening = _listening()
        for port in _ports(folder) - listening:
            release(folder, port)
        if not _ports(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _abandoned() -> list[Path]:
    """Folders of processes that are gone."""
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(PREFIX).split("-")[0])
            if not born(pid) and folder.stat().st_uid == os.getuid():
                found.append(folder)
    return found


def _ports(folder: Path) -> set[int]:
    return {int(path.name) for path in (folder / RUNNING).glob("[0-9]*")}


def _listening() -> set[int]:
    """UDP ports that somebody on this machine listens at."""
    found = set()
    for table in ("udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                found.add(int(line.split()[1].rpartition(":")[2], 16))
    return found
