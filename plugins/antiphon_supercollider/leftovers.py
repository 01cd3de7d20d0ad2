"""What a scsynth of ours leaves: memory under its port's number, its worker's folder, and JACK's semaphores.

A worker is killed as well, so it cannot always tidy up itself. Its folder says which ports are its own.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from antiphon.api.workers import process_start

PREFIX = "antiphon-scsynth-"
RUNNING = "running"
"""In a worker's folder: an empty file for each scsynth of its own, called as its port."""
MEMORY = Path("/dev/shm")
_SEMAPHORE = re.compile(rf"jack_sem\.\d+_.+_{PREFIX}(?:wires-)?(\d+)(?:-\d+)?")
"""JACK's, of a client of ours, called by the process of its worker; a client that is killed leaves it behind."""
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


def sweep(patience: float = 0.0, since: float = 0.0) -> None:
    """Takes away what workers left that were killed. Never raises: others may sweep at the same moment.

    patience: seconds for scsynths that are ending, of workers that began after the time `since`. What is heard at the
    port of an older one is somebody else's for good.
    """
    until = time.monotonic() + patience
    for folder in _abandoned():
        while _made(folder) >= since and _ports(folder) & _listening() and time.monotonic() < until:
            time.sleep(STEP)
        # a port that is heard at may be somebody else's by now
        listening = _listening()
        for port in _ports(folder) - listening:
            release(folder, port)
        if not _ports(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for path in _semaphores():
        with contextlib.suppress(OSError):
            path.unlink()


def _semaphores() -> list[Path]:
    """Those of workers that are gone."""
    found = []
    for path in MEMORY.glob("jack_sem.*"):
        client = _SEMAPHORE.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if client is not None and not process_start(int(client[1])) and path.stat().st_uid == os.getuid():
                found.append(path)
    return found


def _abandoned() -> list[Path]:
    """Folders of processes that are gone."""
    found = []
    for folder in map(Path, glob.glob(f"{glob.escape(tempfile.gettempdir())}/{PREFIX}*-*")):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(PREFIX).split("-")[0])
            if not process_start(pid) and folder.stat().st_uid == os.getuid():
                found.append(folder)
    return found


def _made(folder: Path) -> float:
    """When its worker began, all but: nothing is put into it later but into its own folders."""
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _ports(folder: Path) -> set[int]:
    """None where the folder has gone."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir(folder / RUNNING) if name.isascii() and name.isdigit()}
    return set()


def _listening() -> set[int]:
    """UDP ports that somebody on this machine listens at."""
    found = set()
    for table in ("udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                found.add(int(line.split()[1].rpartition(":")[2], 16))
    return found
